# Deutsch.

# How the language writes.
language-name = Deutsch
direction = ltr
number-decimal = ,
number-group = .
money = { $amount }{"\u00A0"}{ $sign }
money-code = { $amount }{"\u00A0"}{ $code }
# Rows of the keyboard on screen, letters apart.
keyboard-first = q w e r t z u i o p ü
keyboard-second = a s d f g h j k l ö ä
keyboard-third = y x c v b n m ß

# How old a figure is.
ago =
    { $unit ->
        [now] gerade eben
        [second] vor { NUMBER($count) } s
        [minute] vor { NUMBER($count) } min
        [hour] vor { NUMBER($count) } h
       *[day]
            { $count ->
                [one] vor 1 Tag
               *[other] vor { NUMBER($count) } Tagen
            }
    }
fresh = Stand: { $ago }
fresh-alone = auf diesem Gerät gezählt
stale = vielleicht überholt: zuletzt gehört { $ago }
stale-unheard = vielleicht überholt: die anderen Kassen waren noch nicht zu hören

# Stock in words. Sold out and unknown are different things.
stock-here = { NUMBER($count) } hier
stock-none = keine hier
stock-not-made = gibt es nicht

# The frame of every kiosk page.
kiosk-store = Filiale { $number }
kiosk-larger = Aa größer
kiosk-normal = Aa normal
kiosk-languages = Sprachen
kiosk-choose-language = Welche Sprache?
kiosk-browse = Alle Abteilungen
kiosk-type = Namen tippen
kiosk-finished = Fertig
kiosk-back = Zurück

# Attract.
kiosk-attract = Etwas scannen und den Preis sehen
kiosk-attract-touch = Oder hier berühren und stöbern
kiosk-attract-code = Nummer auf dem Etikett
kiosk-attract-show = Zeigen

# Browse.
kiosk-departments = Was suchen Sie?
kiosk-everything = Alles
kiosk-no-goods = Hier ist noch nichts verzeichnet.
kiosk-no-goods-next = Bitte fragen Sie uns.
kiosk-filters = Filter
kiosk-size = Größe
kiosk-colour = Farbe
kiosk-price = Preis
kiosk-any = alle
kiosk-here = Hier vorrätig
kiosk-here-on = nur diese
kiosk-here-off = egal
kiosk-which-size = Welche Größe?
kiosk-which-colour = Welche Farbe?
kiosk-which-price = Welcher Preis?
kiosk-price-below = unter { $to }
kiosk-price-between = { $from } bis { $to }
kiosk-price-above = ab { $from }
kiosk-no-match = So etwas gibt es hier nicht.
kiosk-no-match-next = Nehmen Sie die Filter weg, oder sehen Sie in einer anderen Abteilung nach.
kiosk-filters-off = Filter wegnehmen
kiosk-pages = Seiten
kiosk-previous = Vorige
kiosk-next = Nächste
kiosk-page = Seite { NUMBER($count) }
kiosk-price-from = ab { $price }
kiosk-no-price = Preis bitte erfragen

# Find.
kiosk-find = Namen tippen
kiosk-find-show = Zeigen
kiosk-find-keys = Tastatur
kiosk-find-space = Leerzeichen
kiosk-find-back = Löschen
kiosk-find-clear = Alles löschen
kiosk-find-start = Der Name, oder die Nummer auf dem Etikett.
kiosk-find-nothing = Nichts heißt „{ $typed }“.
kiosk-find-nothing-next = Versuchen Sie es mit weniger Buchstaben, oder fragen Sie uns.

# Product.
kiosk-sizes = Größen
kiosk-colours = Farben
kiosk-stock = In dieser Filiale
kiosk-others = In anderen Filialen
kiosk-others-ask = Fragen Sie uns
kiosk-was = statt { $price }
kiosk-saving = { $percent } % weniger in dieser Filiale

# Food facts. Figures are per 100 g or 100 ml.
food-title = Je 100 g
food-title-drink = Je 100 ml
food-nutri = Nutri-Score
food-nova = NOVA-Gruppe
food-nova-words =
    { $group ->
        [1] kaum oder nicht verarbeitet
        [2] Zutat für die Küche
        [3] verarbeitet
       *[4] stark verarbeitet
    }
food-energy = Energie
food-energy-amount = { $kj } kJ, { $kcal } kcal
food-fat = Fett
food-saturates = davon gesättigt
food-sugars = Zucker
food-salt = Salz
food-gram = { $amount } g
food-level =
    { $level ->
        [low] wenig
        [moderate] mittel
       *[high] viel
    }
food-not-said = keine Angabe
food-allergens = Allergene
food-source = Quelle: { $source }

# Nothing was found.
kiosk-not-found = Nicht gefunden
kiosk-not-found-code = Nichts in dieser Filiale trägt „{ $code }“.
kiosk-not-found-product = Das steht nicht mehr in der Liste dieser Filiale.
kiosk-not-found-page = Diese Seite gibt es nicht.
kiosk-not-found-next = Tippen Sie den Namen, oder fragen Sie uns.
kiosk-broken = Das lässt sich gerade nicht zeigen.
kiosk-broken-next = Bitte noch einmal versuchen, oder fragen Sie uns.

# After a while without a touch.
kiosk-still = Noch da?
kiosk-still-here = Ja, weiter
kiosk-still-next = Diese Seite schließt in { $seconds } s.
