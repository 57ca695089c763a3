//! Breaks on purpose, so that tests show what they would catch
//!
//! Compiled in only with the feature `planted`, which nothing but the simulator's tests switch on. Without it `is` is
//! a constant, and no trace of a break is left in the program.

/// One break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A frame is taken though entries before it are missing.
    GapAccepted,
    /// A frame that is here already is applied again.
    DuplicateApplied,
    /// Neither chain nor seal of a frame are looked at.
    HashNotVerified,
    /// The chain is looked at, the seal is not.
    SealNotVerified,
    /// Heads move in memory before the commit, and stay when it fails.
    VectorBeforeCommit,
    /// Heads of others move in memory only.
    VectorInMemoryOnly,
    /// A write is acknowledged whatever the commit says.
    WriteAckedUncommitted,
    /// A frame is acknowledged when it arrives.
    FrameAckedUncommitted,
    /// The log is synced at checkpoints only.
    SynchronousNormal,
    /// Only the first table of an entry is applied.
    HalfApplied,
    /// Whoever is not on the allow-list is believed.
    StrangerBelieved,
    /// A device writes what its role may not.
    RoleNotCheckedAtWrite,
    /// A device is believed what its role may not write.
    RoleNotCheckedAtApply,
    /// Sending goes on one entry too late.
    NeedOffByOne,
    /// A write skips a number.
    SeqGap,
    /// The wall clock stamps entries.
    WallClock,
    /// A relay ends a frame where there is no seal.
    RecutWithoutSeal,
    /// What a holder was lent counts twice for it.
    GrantCountedTwice,
    /// The floor of a holder is not looked at.
    RightsNotChecked,
    /// What is lent may be spent after the end.
    LeaseNeverEnds,
    /// What is lent is taken back while its holder may spend it.
    TakenBackEarly,
    /// A deed without rights tells nobody.
    OverdrawNotTold,
    /// A page whose sum is wrong is served.
    RotServed,
    /// A database that is built anew leaves out what its device has written itself.
    RebuildForgetsOwn,
    /// Blobs that do not come with their entries are not asked for.
    LackingForgotten,
    /// A blob lies there in clear.
    BlobInClear,
    /// The key of somebody who was erased is kept.
    ErasedKeyKept,
    /// A blob of somebody who was erased is kept when it comes late.
    ErasedBlobKept,
    /// Texts are not looked at for card numbers.
    CardNumberTaken,
    /// A relay forgets what belongs to entries beside them.
    SideNotPassedOn,
    /// An older view takes the place of a newer one.
    OlderViewTaken,
    /// A view is taken whoever signed it.
    ViewNotVerified,
    /// A register column takes the write that arrives last.
    LastArrivalWins,
    /// The loser of a register column is thrown away.
    LoserThrownAway,
    /// A writer does not go beyond the version that it saw.
    VersionNotRaised,
    /// What a newer schema wrote beyond ours is not looked at again after the update.
    AheadForgotten,
    /// A column that an older writer did not have is taken for NULL.
    DefaultForgotten,
    /// A column goes by its place in the table instead of its number.
    NumberByPlace,
    /// What lies beyond a cut is applied.
    CutIgnored,
    /// Two pasts of one origin are taken for one.
    ForkIgnored,
    /// What does not count is thrown away.
    EvidenceDropped,
    /// A device that was set back writes on under its origin.
    SetBackIgnored,
    /// A device takes a spare origin that another box with its image asked for.
    TicketIgnored,
    /// A device writes before its own history is there.
    HistoryNotAwaited,
    /// What a device had written and nobody takes is not written anew.
    TailDropped,
    /// Entries are trimmed though a watermark does not cover them.
    TrimmedTooFar,
    /// A watermark does not wait for HQ's second copy.
    WatermarkAboveSecondCopy,
    /// Nobody with a lease is waited for.
    LeaseForgotten,
    /// One entry more is trimmed than the floor says.
    FloorOffByOne,
    /// Neither chunks nor heads of a snapshot are looked at.
    SnapshotNotVerified,
    /// A snapshot leaves rows out.
    SnapshotLeavesRowsOut,
    /// A batch for the second copy counts before it is durable.
    CopyCountedUnsynced,
    /// A generation of HQ is taken before the one it follows is here whole.
    GenerationsOutOfOrder,
    /// What a generation of HQ wrote past its end is applied.
    PredecessorBelieved,
    /// A restored HQ writes before it has taken its own entries back.
    RestoredWritesAtOnce,
    /// What a generation of HQ wrote past its end is not taken over by the next.
    TailNotAdopted,
    /// What an older generation of HQ had committed still counts.
    OldMarksBelieved,
    /// A parent that is silent is waited for.
    ParentNeverLeft,
    /// What the parent before had, the present one is believed to have.
    OldParentBelieved,
    /// A row that somebody else took away stays.
    DeletesNotApplied,
    /// A writer is believed in streams that are not its own.
    ForeignStreamBelieved,
    /// Ids of rows begin anew at each start.
    RowIdsDrawnAgain,
    /// The clock begins anew at each start.
    StampForgotten,
    /// What a savepoint took back is logged.
    SavepointNotHeard,
    /// An entry more is acknowledged than is there.
    AckedBeyondHead,
    /// What a back office has counts as committed at HQ.
    AnyParentIsHq,
    /// The log is never synced.
    SynchronousOff,
    /// The last row of a long write is not logged.
    RowLeftOut,
    /// A database is believed when it says that it keeps a write-ahead log.
    LogNotLookedFor,
    /// What is trimmed elsewhere is taken for what a device that was set back had written.
    TrimmedTakenForSame,
    /// A device that lacks the log hears nothing of its new origin.
    ClaimNotTold,
    /// Who made a snapshot is not believed from there on.
    MakerForgotten,
    /// A device whose own entries a snapshot knows better takes no note of it.
    OwnMarkIgnored,
    /// What no right covers any more is not written anew either.
    RightsAnewRefused,
}

impl Fault {
    /// Those that runs of the simulator catch. The others have stories of their own in `sync/tests/engine`.
    pub const ALL: &[Fault] = &[
        Fault::GapAccepted,
        Fault::DuplicateApplied,
        Fault::HashNotVerified,
        Fault::SealNotVerified,
        Fault::VectorBeforeCommit,
        Fault::VectorInMemoryOnly,
        Fault::WriteAckedUncommitted,
        Fault::FrameAckedUncommitted,
        Fault::SynchronousNormal,
        Fault::HalfApplied,
        Fault::StrangerBelieved,
        Fault::RoleNotCheckedAtWrite,
        Fault::RoleNotCheckedAtApply,
        Fault::NeedOffByOne,
        Fault::SeqGap,
        Fault::WallClock,
        Fault::RecutWithoutSeal,
        Fault::LastArrivalWins,
        Fault::LoserThrownAway,
        Fault::VersionNotRaised,
        Fault::AheadForgotten,
        Fault::DefaultForgotten,
        Fault::NumberByPlace,
        Fault::DeletesNotApplied,
        Fault::ForeignStreamBelieved,
        Fault::RowIdsDrawnAgain,
        Fault::StampForgotten,
        Fault::SavepointNotHeard,
        Fault::AckedBeyondHead,
        Fault::AnyParentIsHq,
        Fault::SynchronousOff,
        Fault::RowLeftOut,
        Fault::GrantCountedTwice,
        Fault::RightsNotChecked,
        Fault::LeaseNeverEnds,
        Fault::TakenBackEarly,
        Fault::OverdrawNotTold,
        Fault::BlobInClear,
        Fault::ErasedKeyKept,
        Fault::CardNumberTaken,
        Fault::SideNotPassedOn,
        Fault::OlderViewTaken,
        Fault::ViewNotVerified,
        Fault::TrimmedTooFar,
        Fault::WatermarkAboveSecondCopy,
        Fault::FloorOffByOne,
        Fault::SnapshotLeavesRowsOut,
        Fault::RebuildForgetsOwn,
        Fault::RotServed,
        Fault::ErasedBlobKept,
        Fault::ParentNeverLeft,
        Fault::OldParentBelieved,
    ];
}

#[cfg(feature = "planted")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Plants a break for this thread, or takes it out.
#[cfg(feature = "planted")]
pub fn set(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether this break is planted.
#[cfg(feature = "planted")]
pub fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether this break is planted: never, in this build.
#[cfg(not(feature = "planted"))]
pub const fn is(_: Fault) -> bool {
    false
}
