//! The tables of the engine itself, in order of age

use crate::{
    ahead, allow_list, changelog, declared, epochs, evidence, floor, lacking, lease, lost,
    open::Migration, origins, private, reissued, right_moves, spare, succession, view_tables,
    watermark,
};

/// They come before those of the trade, because these are declared in them.
pub(crate) fn migrations() -> Vec<Migration> {
    vec![
        Migration { name: "0000_changelog", sql: changelog::SCHEMA },
        Migration { name: "0000_replicated", sql: declared::SCHEMA },
        Migration { name: "0000_replicated_epochs", sql: epochs::SCHEMA },
        Migration { name: "0000_lost", sql: lost::SCHEMA },
        Migration { name: "0000_ahead", sql: ahead::SCHEMA },
        Migration { name: "0000_floor", sql: floor::SCHEMA },
        Migration { name: "0000_zz_allow_list", sql: allow_list::SCHEMA },
        Migration { name: "0000_zz_right_move", sql: right_moves::SCHEMA },
        Migration { name: "0000_zz_private_blob", sql: private::SCHEMA },
        Migration { name: "0000_zz_private_lacking", sql: lacking::SCHEMA },
        Migration { name: "0000_zz_beyond_cut", sql: origins::SCHEMA },
        Migration { name: "0000_zz_evidence", sql: evidence::SCHEMA },
        Migration { name: "0000_zz_reissued", sql: reissued::SCHEMA },
        Migration { name: "0000_zz_spare", sql: spare::SCHEMA },
        Migration { name: "0000_zz_view", sql: view_tables::SCHEMA },
        Migration { name: "0000_zz_lease", sql: lease::SCHEMA },
        Migration { name: "0000_zz_watermark", sql: watermark::SCHEMA },
        Migration { name: "0000_zz_succession", sql: succession::SCHEMA },
    ]
}
