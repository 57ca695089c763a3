# English: the words that stand in where another language lacks some.

# How the language writes.
language-name = English
direction = ltr
number-decimal = .
number-group = ,
money = { $sign }{ $amount }
money-code = { $code }{"\u00A0"}{ $amount }
# Rows of the keyboard on screen, letters apart.
keyboard-first = q w e r t y u i o p
keyboard-second = a s d f g h j k l
keyboard-third = z x c v b n m

# How old a figure is.
ago =
    { $unit ->
        [now] just now
        [second] { NUMBER($count) } s ago
        [minute] { NUMBER($count) } min ago
        [hour] { NUMBER($count) } h ago
       *[day]
            { $count ->
                [one] 1 day ago
               *[other] { NUMBER($count) } days ago
            }
    }
fresh = as of { $ago }
fresh-alone = counted on this device
stale = may have changed: last heard { $ago }
stale-unheard = may have changed: the other checkouts have not been heard yet

# Stock in words. Sold out and unknown are different things.
stock-here = { NUMBER($count) } here
stock-none = none here
stock-not-made = not made

# The frame of every kiosk page.
kiosk-store = Store { $number }
kiosk-larger = Aa larger
kiosk-normal = Aa normal
kiosk-languages = Languages
kiosk-choose-language = Choose your language
kiosk-browse = All departments
kiosk-type = Type to find
kiosk-finished = Finished
kiosk-back = Back

# Attract.
kiosk-attract = Scan anything to see its price
kiosk-attract-touch = Or touch here to look around
kiosk-attract-code = Number on the label
kiosk-attract-show = Show it

# Browse.
kiosk-departments = What are you looking for?
kiosk-everything = Everything
kiosk-no-goods = Nothing is listed yet.
kiosk-no-goods-next = Please ask us.
kiosk-filters = Filters
kiosk-size = Size
kiosk-colour = Colour
kiosk-price = Price
kiosk-any = any
kiosk-here = In stock here
kiosk-here-on = only these
kiosk-here-off = no matter
kiosk-which-size = Which size?
kiosk-which-colour = Which colour?
kiosk-which-price = Which price?
kiosk-price-below = below { $to }
kiosk-price-between = { $from } to { $to }
kiosk-price-above = { $from } and more
kiosk-no-match = Nothing here is like that.
kiosk-no-match-next = Take the filters off, or look in another department.
kiosk-filters-off = Take the filters off
kiosk-pages = Pages
kiosk-previous = Previous
kiosk-next = Next
kiosk-page = Page { NUMBER($count) }
kiosk-price-from = from { $price }
kiosk-no-price = ask us for the price

# Find.
kiosk-find = Type a name
kiosk-find-show = Show
kiosk-find-keys = Keyboard
kiosk-find-space = Space
kiosk-find-back = Take back
kiosk-find-clear = Clear
kiosk-find-start = The name, or the number on the label.
kiosk-find-nothing = Nothing is called “{ $typed }”.
kiosk-find-nothing-next = Try fewer letters, or ask us.

# Product.
kiosk-sizes = Sizes
kiosk-colours = Colours
kiosk-stock = In this store
kiosk-others = In other stores
kiosk-others-ask = Ask us
kiosk-was = instead of { $price }
kiosk-saving = { $percent } % less in this store

# Food facts. Figures are per 100 g or 100 ml.
food-title = Per 100 g
food-title-drink = Per 100 ml
food-nutri = Nutri-Score
food-nova = NOVA group
food-nova-words =
    { $group ->
        [1] not or hardly processed
        [2] kitchen ingredient
        [3] processed
       *[4] highly processed
    }
food-energy = Energy
food-energy-amount = { $kj } kJ, { $kcal } kcal
food-fat = Fat
food-saturates = of which saturates
food-sugars = Sugars
food-salt = Salt
food-gram = { $amount } g
food-level =
    { $level ->
        [low] low
        [moderate] moderate
       *[high] high
    }
food-not-said = not declared
food-allergens = Allergens
food-source = Source: { $source }

# Nothing was found.
kiosk-not-found = Not found
kiosk-not-found-code = Nothing in this store bears “{ $code }”.
kiosk-not-found-product = This is not in this store’s list any more.
kiosk-not-found-page = There is no such page.
kiosk-not-found-next = Type the name, or ask us.
kiosk-broken = This cannot be shown now.
kiosk-broken-next = Please try again, or ask us.

# After a while without a touch.
kiosk-still = Still there?
kiosk-still-here = Yes, go on
kiosk-still-next = This page closes in { $seconds } s.
