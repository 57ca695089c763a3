//! The replication engine, which knows no trade

pub mod planted;

pub mod hlc;

pub mod origin;

pub mod row_id;

pub mod value;

pub mod rule;

pub mod rights;

pub mod version;

pub mod device_keys;

pub mod canonical;

pub mod seal;

pub mod merkle;

pub mod packing;

pub mod commitment;

pub mod frame;

pub mod signed;

pub mod wire;

pub mod register;

pub mod ext;

pub mod entry;

pub mod entry_reader;

pub mod preupdate;

pub mod declared;

pub mod epochs;

pub mod tables;

pub mod page_sum;

pub mod page_check;

pub mod card_number;

pub mod private;

pub mod lacking;

pub mod add_column;

pub mod open;

pub mod person_keys;

pub mod scrub;

pub mod allow_row;

pub mod allow_list;

pub mod snapshot;

pub mod snapshot_rows;

pub mod snapshot_rack;

pub mod watermark;

pub mod lease;

pub mod succession;

pub mod generations;

pub mod admission;

pub mod right_moves;

pub mod escrow;

pub mod spare;

pub mod origins;

pub mod reissued;

pub mod topics;

pub mod marking;

pub mod capture;

pub mod floor;

pub mod changelog;

pub mod lost;

pub mod merge;

pub mod ahead;

pub mod parking;
pub mod evidence;

pub mod writer;
pub mod trim;

pub mod apply;

pub mod outcome;

pub mod identity;

pub mod permit;

pub mod view_tables;

pub mod engine_schema;

pub mod bring_up;

pub mod replica;

pub mod erasure;
pub mod beyond;

pub mod handing_out;

pub mod settling;

pub mod fork;

pub mod taken;

pub mod rights_anew;

pub mod reissue;

pub mod view;

pub mod view_wire;

pub mod view_talk;

pub mod papers;

pub mod cut;

pub mod handover;

pub mod second_copy;

pub mod incoming;

pub mod take_in;

pub mod withheld;

pub mod receive;

pub mod project;

pub mod rot;

pub mod salvage;

pub mod rebuild;
pub mod rebuilt;
pub mod snapshot_maker;

pub mod incarnation;

pub mod snapshot_heads;

pub mod install;

pub mod snapshot_file;

pub mod session;

pub mod marks;

pub mod segment;

pub mod parents;

pub mod talk;

pub mod to_tend;
pub mod snapshot_state;

pub mod hub;

pub mod viewing;

pub mod copying;

pub mod reporting;

pub mod adoption;

pub mod claim_paper;

pub mod blob_talk;

pub mod hearing;

pub mod composing;

pub mod doing;
pub mod snapshot_talk;

pub mod compaction;

pub mod tending;

pub mod standing;
