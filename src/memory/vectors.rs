//! The meanings' side of the index: vectors in a flat file, found by the key of the text that they stand for.
//!
//! Two files that only grow: `vectors`, the numbers, and `keys`, one row for each of them with the key and one bit per number
//! (its sign). The bits are small enough to be looked through whole; the numbers of the most promising rows are then read for
//! the exact answer. A row counts once its key is there, which is written last, so that a crash leaves at most numbers without
//! a key, which the next writer cuts off. Vectors of one embedder fill one folder; those of two are never compared.
//!
//! The sign bits of unit vectors as a first look: Charikar, "Similarity estimation techniques from rounding algorithms", 2002.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// First bytes of the file of keys; another form has other ones.
const MAGIC: &[u8; 8] = b"menovec1";
const HEADER_BYTES: usize = 16;
/// More numbers than the vectors of any model have.
const DIMS_MAX: usize = 1 << 20;

/// Up to so many rows are compared exactly; of more, the most promising ones are.
pub const EXACT_MAX: usize = 8_192;

/// Vectors of one embedder.
#[derive(Debug)]
pub struct Vectors {
    dir: PathBuf,
    dims: usize,
    numbers: File,
    keys: Vec<u64>,
    /// Sign bits, `words()` for each row.
    signs: Vec<u64>,
    rows: HashMap<u64, u32>,
}

impl Vectors {
    /// Opens the vectors of `dims` numbers in the folder `dir` for reading; `None` when there are none of that form.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn open(dir: &Path, dims: usize) -> io::Result<Option<Self>> {
        let numbers = match File::open(dir.join("vectors")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut vectors = Self { dir: dir.to_owned(), dims, numbers, keys: Vec::new(), signs: Vec::new(), rows: HashMap::new() };
        Ok(vectors.reload()?.then_some(vectors))
    }

    /// Takes in rows that were appended since. Returns false when the files are of another form or shorter than they were.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn reload(&mut self) -> io::Result<bool> {
        let mut file = match File::open(self.dir.join("keys")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let (opened, named) = (self.numbers.metadata()?, std::fs::metadata(self.dir.join("vectors"))?);
        if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
            // Rows were dropped: every row has another place now.
            return Ok(false);
        }
        let mut header = [0; HEADER_BYTES];
        if file.read_exact(&mut header).is_err() || header != self.header() {
            return Ok(false);
        }
        let row_bytes = 8 + 8 * self.words();
        let of_keys = (file.metadata()?.len().saturating_sub(HEADER_BYTES as u64) / row_bytes as u64) as usize;
        let of_numbers = (File::open(self.dir.join("vectors"))?.metadata()?.len() / (4 * self.dims as u64)) as usize;
        let count = of_keys.min(of_numbers);
        if count < self.keys.len() {
            return Ok(false);
        }
        file.seek(SeekFrom::Start((HEADER_BYTES + self.keys.len() * row_bytes) as u64))?;
        let mut bytes = vec![0; (count - self.keys.len()) * row_bytes];
        file.read_exact(&mut bytes)?;
        for row in bytes.chunks_exact(row_bytes) {
            let mut numbers = row.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
            let Some(key) = numbers.next() else { continue };
            // The first row of a key counts: a later one is the same text again.
            self.rows.entry(key).or_insert(self.keys.len() as u32);
            self.keys.push(key);
            self.signs.extend(numbers);
        }
        Ok(true)
    }

    /// Returns how many rows there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the row of the text with this key.
    pub fn row(&self, key: u64) -> Option<u32> {
        self.rows.get(&key).copied()
    }

    /// Returns the vector of a row.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn vector(&self, row: u32) -> io::Result<Vec<f32>> {
        let size = 4 * self.dims;
        let mut bytes = vec![0; size];
        self.numbers.read_exact_at(&mut bytes, u64::from(row) * size as u64)?;
        Ok(numbers(&bytes).collect())
    }

    /// Returns the cosines of `query` with the rows of `candidates` (in ascending order, each once) that are nearest to it, at least `wanted` of them when there
    /// are as many, in no order. Exact when there are at most [`EXACT_MAX`] candidates; else those whose signs agree most are
    /// compared exactly.
    ///
    /// # Errors
    /// When vectors cannot be read.
    pub fn nearest(&self, query: &[f32], candidates: &[u32], wanted: usize) -> io::Result<Vec<(u32, f32)>> {
        if candidates.len() <= EXACT_MAX {
            return self.cosines(query, candidates);
        }
        // Signs against signs are quick and coarse, the query's numbers against signs are better, and the numbers of few are read.
        let alike = self.promising(query, candidates, (8 * wanted).max(EXACT_MAX / 4));
        self.cosines(query, &self.leaning(query, alike, (2 * wanted).max(EXACT_MAX / 32)))
    }

    /// Returns the cosines of `query` with `rows`, which are in ascending order.
    ///
    /// # Errors
    /// When vectors cannot be read.
    pub fn cosines(&self, query: &[f32], rows: &[u32]) -> io::Result<Vec<(u32, f32)>> {
        /// Rows between two that are wanted and are read along, because one read of more is cheaper than two.
        const GAP_MAX: u32 = 4;
        /// Rows of one read, at most.
        const READ_MAX: u32 = 512;
        let size = 4 * self.dims;
        let mut cosines = Vec::with_capacity(rows.len());
        let mut bytes = Vec::new();
        let mut rest = rows;
        while let Some(first) = rest.first().copied() {
            let near = |pair: &[u32]| pair[1] - pair[0] <= GAP_MAX && pair[1] - first < READ_MAX;
            let run = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
            let (now, later) = rest.split_at(run);
            let last = now.last().copied().unwrap_or(first);
            bytes.resize((last - first + 1) as usize * size, 0);
            self.numbers.read_exact_at(&mut bytes, u64::from(first) * size as u64)?;
            for row in now {
                let at = (row - first) as usize * size;
                cosines.push((*row, dot(query, &bytes[at..at + size])));
            }
            rest = later;
        }
        Ok(cosines)
    }

    /// Returns the `wanted` candidates whose signs agree most with those of `query`.
    fn promising(&self, query: &[f32], candidates: &[u32], wanted: usize) -> Vec<u32> {
        let words = self.words();
        let query = signs(query);
        let distance = |row: &u32| -> u32 {
            let at = *row as usize * words;
            self.signs[at..at + words].iter().zip(&query).map(|(a, b)| (a ^ b).count_ones()).sum()
        };
        let distances: Vec<u32> = candidates.iter().map(distance).collect();
        // Distances are small numbers: counting them finds the border without sorting.
        let mut counts = vec![0usize; self.dims + 1];
        distances.iter().for_each(|distance| counts[*distance as usize] += 1);
        let mut sum = 0;
        let border = counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        let border = border.unwrap_or(self.dims) as u32;
        candidates.iter().zip(distances).filter(|(_, distance)| *distance <= border).map(|(row, _)| *row).collect()
    }

    /// Returns the `wanted` of `rows` whose signs agree best with the numbers of `query`, in ascending order: an estimate of the cosine from
    /// one side's numbers and the other's signs (asymmetric distance: Gordo et al., "Asymmetric distances for binary embeddings", 2014).
    fn leaning(&self, query: &[f32], rows: Vec<u32>, wanted: usize) -> Vec<u32> {
        if rows.len() <= wanted {
            return rows;
        }
        // What each byte of signs adds up to, for all its values.
        let tables: Vec<[f32; 256]> = query
            .chunks(8)
            .map(|numbers| {
                let mut table = [0.0; 256];
                for (bits, sum) in table.iter_mut().enumerate() {
                    *sum = (0..).zip(numbers).map(|(bit, number)| if bits >> bit & 1 == 1 { *number } else { -number }).sum();
                }
                table
            })
            .collect();
        let words = self.words();
        let score = |row: u32| -> f32 {
            let at = row as usize * words;
            let bytes = self.signs[at..at + words].iter().flat_map(|word| word.to_le_bytes());
            tables.iter().zip(bytes).map(|(table, byte)| table[usize::from(byte)]).sum()
        };
        let mut scored: Vec<(f32, u32)> = rows.into_iter().map(|row| (score(row), row)).collect();
        scored.select_nth_unstable_by(wanted, |a, b| b.0.total_cmp(&a.0));
        let mut best: Vec<u32> = scored[..wanted].iter().map(|(_, row)| *row).collect();
        best.sort_unstable();
        best
    }

    fn words(&self) -> usize {
        self.dims.div_ceil(64)
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        header(self.dims)
    }
}

/// Appends vectors to the folder. One process does so at a time, which is for the caller to see to.
#[derive(Debug)]
pub struct Appender {
    keys: File,
    numbers: File,
    dims: usize,
}

impl Appender {
    /// Opens the folder `dir`, which is created when it is not there. Files of another form are begun anew, and rows that are not
    /// whole are cut off.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn open(dir: &Path, dims: usize) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let open = |name: &str| OpenOptions::new().read(true).append(true).create(true).open(dir.join(name));
        let (mut keys, numbers) = (open("keys")?, open("vectors")?);
        let mut found = [0; HEADER_BYTES];
        if keys.read_exact(&mut found).is_err() || found != header(dims) {
            keys.set_len(0)?;
            numbers.set_len(0)?;
            keys.write_all(&header(dims))?;
        }
        let row_bytes = 8 + 8 * dims.div_ceil(64) as u64;
        let of_keys = (keys.metadata()?.len() - HEADER_BYTES as u64) / row_bytes;
        let count = of_keys.min(numbers.metadata()?.len() / (4 * dims as u64));
        keys.set_len(HEADER_BYTES as u64 + count * row_bytes)?;
        numbers.set_len(count * 4 * dims as u64)?;
        Ok(Self { keys, numbers, dims })
    }

    /// Appends rows. What is not whole when the process dies does not count.
    ///
    /// # Errors
    /// When the files cannot be written, or a vector has another length.
    pub fn append(&mut self, rows: &[(u64, Vec<f32>)]) -> io::Result<()> {
        if rows.iter().any(|(_, vector)| vector.len() != self.dims) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a vector has another length than the others"));
        }
        let values: Vec<u8> = rows.iter().flat_map(|(_, vector)| vector).flat_map(|number| number.to_le_bytes()).collect();
        self.numbers.write_all(&values)?;
        self.numbers.sync_data()?;
        let keys: Vec<u8> =
            rows.iter().flat_map(|(key, vector)| std::iter::once(*key).chain(signs(vector))).flat_map(u64::to_le_bytes).collect();
        self.keys.write_all(&keys)
    }
}

/// Keeps the rows of the folder `dir` whose keys are in `needed`, and drops the others. Nobody may append meanwhile; readers notice.
///
/// # Errors
/// When the files cannot be read or written; then the rows are as they were, or all gone.
pub fn retain(dir: &Path, needed: &HashSet<u64>) -> io::Result<()> {
    const BESIDE: &str = ".retained";
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(BESIDE) {
        // What a crash left of an earlier look.
        return std::fs::remove_dir_all(dir);
    }
    let mut keys = match File::open(dir.join("keys")) {
        Ok(keys) => io::BufReader::new(keys),
        // Without keys there are no rows.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return std::fs::remove_dir_all(dir),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER_BYTES];
    if keys.read_exact(&mut header).is_err() || header[..8] != MAGIC[..] {
        // Rows of another form, or none that were ever whole: they are made again.
        return std::fs::remove_dir_all(dir);
    }
    let mut dims = [0; 8];
    dims.copy_from_slice(&header[8..]);
    let dims = usize::try_from(u64::from_le_bytes(dims)).unwrap_or(usize::MAX).min(DIMS_MAX);
    let numbers = File::open(dir.join("vectors"))?;
    let beside = dir.with_file_name(format!("{name}{BESIDE}"));
    if beside.exists() {
        std::fs::remove_dir_all(&beside)?;
    }
    std::fs::create_dir(&beside)?;
    let create = |name: &str| File::create_new(beside.join(name)).map(io::BufWriter::new);
    let (mut new_keys, mut new_numbers) = (create("keys")?, create("vectors")?);
    new_keys.write_all(&header)?;
    let (mut row, mut vector) = (vec![0; 8 + 8 * dims.div_ceil(64)], vec![0; 4 * dims]);
    let mut at = 0;
    while keys.read_exact(&mut row).is_ok() && numbers.read_exact_at(&mut vector, at).is_ok() {
        at += vector.len() as u64;
        let key = row.first_chunk::<8>().map(|key| u64::from_le_bytes(*key));
        if key.is_some_and(|key| needed.contains(&key)) {
            new_keys.write_all(&row)?;
            new_numbers.write_all(&vector)?;
        }
    }
    new_keys.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    new_numbers.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    // Between the two there are no vectors, which only means that they are made again.
    std::fs::remove_dir_all(dir)?;
    std::fs::rename(&beside, dir)
}

fn header(dims: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..].copy_from_slice(&(dims as u64).to_le_bytes());
    header
}

fn signs(vector: &[f32]) -> Vec<u64> {
    let bits = |numbers: &[f32]| numbers.iter().enumerate().fold(0, |bits, (at, number)| bits | u64::from(*number > 0.0) << at);
    vector.chunks(64).map(bits).collect()
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|number| number.try_into().map_or(0.0, f32::from_le_bytes))
}

/// Four sums at once, which a processor can add side by side.
fn dot(query: &[f32], bytes: &[u8]) -> f32 {
    let mut sums = [0f32; 4];
    for (four, bytes) in query.chunks_exact(4).zip(bytes.chunks_exact(16)) {
        for (at, sum) in sums.iter_mut().enumerate() {
            let number = f32::from_le_bytes([bytes[4 * at], bytes[4 * at + 1], bytes[4 * at + 2], bytes[4 * at + 3]]);
            *sum += four[at] * number;
        }
    }
    let rest = query.len() / 4 * 4;
    let tail: f32 = query[rest..].iter().zip(numbers(&bytes[4 * rest..])).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of unit length around a few centres, without a source of randomness.
    fn vector(seed: u64, dims: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut vector: Vec<f32> = (0..dims).map(|_| next()).collect();
        let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|number| *number /= length);
        vector
    }

    #[test]
    fn vectors_come_back_as_they_were_appended_whatever_their_length() {
        for dims in [1, 7, 64, 65, 384] {
            let dir = tempfile::tempdir().unwrap();
            let rows: Vec<(u64, Vec<f32>)> = (0..300).map(|n| (n * 31, vector(n, dims))).collect();
            let mut appender = Appender::open(dir.path(), dims).unwrap();
            appender.append(&rows[..100]).unwrap();
            let mut vectors = Vectors::open(dir.path(), dims).unwrap().unwrap();
            appender.append(&rows[100..]).unwrap();
            assert!(vectors.reload().unwrap());
            assert_eq!(vectors.len(), 300);
            for (key, vector) in &rows {
                assert_eq!(vectors.vector(vectors.row(*key).unwrap()).unwrap(), *vector);
            }
            let all: Vec<u32> = (0..300).collect();
            for (row, cosine) in vectors.cosines(&rows[5].1, &all).unwrap() {
                let exact: f32 = rows[row as usize].1.iter().zip(&rows[5].1).map(|(a, b)| a * b).sum();
                assert!((cosine - exact).abs() < 1e-5);
            }
            assert!(Vectors::open(dir.path(), dims + 1).unwrap().is_none(), "another form is none");
        }
    }

    #[test]
    fn what_a_crash_left_half_written_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let rows: Vec<(u64, Vec<f32>)> = (0..10).map(|n| (n, vector(n, 32))).collect();
        Appender::open(dir.path(), 32).unwrap().append(&rows).unwrap();
        for (name, cut) in [("keys", 3), ("vectors", 70)] {
            let file = OpenOptions::new().write(true).open(dir.path().join(name)).unwrap();
            file.set_len(file.metadata().unwrap().len() - cut).unwrap();
            let whole = Vectors::open(dir.path(), 32).unwrap().unwrap().len();
            assert!(whole < 10);
            let mut appender = Appender::open(dir.path(), 32).unwrap();
            appender.append(&rows[whole..]).unwrap();
            let vectors = Vectors::open(dir.path(), 32).unwrap().unwrap();
            assert_eq!(vectors.len(), 10);
            assert_eq!(vectors.vector(9).unwrap(), rows[9].1);
        }
    }

    #[test]
    fn rows_that_nobody_needs_are_dropped_and_readers_notice() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("model-1.5");
        let rows: Vec<(u64, Vec<f32>)> = (0..50).map(|n| (n, vector(n, 70))).collect();
        Appender::open(&dir, 70).unwrap().append(&rows).unwrap();
        let mut reader = Vectors::open(&dir, 70).unwrap().unwrap();
        retain(&dir, &(10..13).collect()).unwrap();
        // Even when there are more rows than before, they are others.
        Appender::open(&dir, 70).unwrap().append(&(100..200).map(|n| (n, vector(n, 70))).collect::<Vec<_>>()).unwrap();
        assert!(!reader.reload().unwrap());
        let vectors = Vectors::open(&dir, 70).unwrap().unwrap();
        assert_eq!(vectors.len(), 103);
        assert_eq!(vectors.vector(vectors.row(11).unwrap()).unwrap(), rows[11].1);
        assert_eq!((vectors.row(9), vectors.row(150).is_some()), (None, true));
        retain(&dir, &HashSet::new()).unwrap();
        assert_eq!(Vectors::open(&dir, 70).unwrap().unwrap().len(), 0);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
        std::fs::write(dir.join("keys"), "torn").unwrap();
        retain(&dir, &HashSet::new()).unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn of_many_vectors_the_nearest_are_found_by_their_signs_first() {
        let (dims, count) = (128, EXACT_MAX as u64 + 4000);
        let dir = tempfile::tempdir().unwrap();
        let query = vector(1, dims);
        let mixed = |n: u64| {
            let share = if n.is_multiple_of(1000) { 0.9 } else { 0.0 };
            let other = vector(n + 10, dims);
            query.iter().zip(other).map(|(a, b)| share * a + (1.0 - share) * b).collect::<Vec<f32>>()
        };
        let rows: Vec<(u64, Vec<f32>)> = (0..count).map(|n| (n, mixed(n))).collect();
        Appender::open(dir.path(), dims).unwrap().append(&rows).unwrap();
        let vectors = Vectors::open(dir.path(), dims).unwrap().unwrap();
        let mut near = vectors.nearest(&query, &(0..count as u32).collect::<Vec<_>>(), 10).unwrap();
        assert!(near.len() < count as usize / 2);
        near.sort_by(|a, b| b.1.total_cmp(&a.1));
        assert!(near[..count.div_ceil(1000) as usize].iter().all(|(row, _)| row % 1000 == 0));
    }

    #[test]
    fn the_nearest_of_many_in_crowds_are_those_of_an_exact_search() {
        let (dims, count) = (384, EXACT_MAX as u64 + 4000);
        let dir = tempfile::tempdir().unwrap();
        let near = |centre: u64, seed: u64| {
            let (centre, own) = (vector(centre, dims), vector(seed, dims));
            centre.iter().zip(own).map(|(a, b)| 0.6 * a + 0.8 * b).collect::<Vec<f32>>()
        };
        let rows: Vec<(u64, Vec<f32>)> = (0..count).map(|n| (n, near(n % 40 + 1, n + 1000))).collect();
        Appender::open(dir.path(), dims).unwrap().append(&rows).unwrap();
        let vectors = Vectors::open(dir.path(), dims).unwrap().unwrap();
        let all: Vec<u32> = (0..count as u32).collect();
        let (wanted, mut found) = (50, 0);
        for number in 0..20 {
            let query = near(number + 1, number + 1_000_000);
            let best = |mut rows: Vec<(u32, f32)>| -> Vec<u32> {
                rows.sort_by(|a, b| b.1.total_cmp(&a.1));
                rows.iter().take(wanted).map(|(row, _)| *row).collect()
            };
            let exact = best(vectors.cosines(&query, &all).unwrap());
            let quick = best(vectors.nearest(&query, &all, 200).unwrap());
            found += exact.iter().filter(|row| quick.contains(row)).count();
        }
        assert!(found >= 20 * wanted * 99 / 100, "{found} of {}", 20 * wanted);
    }
}
