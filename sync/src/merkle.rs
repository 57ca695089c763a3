//! One hash over many pieces, and the path from a piece to it
//!
//! Whoever has the signed root can check any single piece as it comes, without
//! the others: a snapshot chunk by chunk, an old entry without its segment.
//! Leaves and nodes begin with another byte each, so none passes for the other.

/// A hash of the tree.
pub type Hash = [u8; 32];

const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The hash of a piece, which is bound to its number.
pub fn leaf(number: u64, piece: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[LEAF]).update(&number.to_be_bytes()).update(piece);
    hasher.finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[NODE]).update(left).update(right);
    hasher.finalize().into()
}

/// The level above some hashes. One without a neighbour goes up as it is.
fn above(level: &[Hash]) -> Vec<Hash> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            one => one[0],
        })
        .collect()
}

/// The root over all leaves, in their order. Never called for none.
pub fn root(leaves: &[Hash]) -> Hash {
    assert!(!leaves.is_empty(), "a tree has a leaf");
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level[0]
}

/// The neighbours that lead from the leaf at a place to the root, from below.
pub fn path(leaves: &[Hash], place: usize) -> Vec<Hash> {
    assert!(place < leaves.len(), "the leaf is in the tree");
    let (mut level, mut place, mut path) = (leaves.to_vec(), place, Vec::new());
    while level.len() > 1 {
        path.extend(level.get(place ^ 1));
        level = above(&level);
        place /= 2;
    }
    path
}

/// Whether a leaf at a place among so many leads to the root by this path.
pub fn leads(root: &Hash, leaf: &Hash, place: u64, count: u64, path: &[Hash]) -> bool {
    if place >= count {
        return false;
    }
    let (mut hash, mut place, mut width, mut steps) = (*leaf, place, count, path.iter());
    while width > 1 {
        if place ^ 1 < width {
            let Some(beside) = steps.next() else { return false };
            hash = if place % 2 == 0 { node(&hash, beside) } else { node(beside, &hash) };
        }
        place /= 2;
        width = width.div_ceil(2);
    }
    hash == *root && steps.next().is_none()
}

#[cfg(test)]
mod tests {
    use crate::merkle::{leads, leaf, path, root};

    fn leaves(count: u64) -> Vec<[u8; 32]> {
        (0..count).map(|number| leaf(number, &[7; 3])).collect()
    }

    #[test]
    fn every_leaf_leads_to_the_root_and_to_no_other_place() {
        for count in 1..20 {
            let leaves = leaves(count);
            let top = root(&leaves);
            for place in 0..count {
                let way = path(&leaves, place as usize);
                let hash = leaves[place as usize];
                assert!(leads(&top, &hash, place, count, &way), "{place} of {count}");
                for other in (0..=count).filter(|other| *other != place) {
                    assert!(!leads(&top, &hash, other, count, &way), "{place} as {other}");
                }
                assert!(!leads(&top, &leaf(place, &[8; 3]), place, count, &way));
            }
        }
    }

    #[test]
    fn a_path_that_is_too_short_or_too_long_leads_nowhere() {
        let leaves = leaves(5);
        let (top, way) = (root(&leaves), path(&leaves, 2));
        assert!(!leads(&top, &leaves[2], 2, 5, &way[1..]));
        assert!(!leads(&top, &leaves[2], 2, 5, &[way.clone(), vec![top]].concat()));
        assert!(!leads(&top, &top, 0, 5, &[]), "a node is no leaf");
    }
}
