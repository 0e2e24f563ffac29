//! `merit train selection`: an artifact of `knn` or `kmeans` from routing records, compared on
//! held-out requests.

use crate::cli::{SelectionAlgorithm, TrainArgs};
use ::selection::algorithms::learned::features;
use anyhow::Context as _;
use inference::catalog::Catalog;
use inference::handle::Embedder;
use training::selection::{self, Algorithm, Records, Settings};

/// Texts that are read before the next ones.
const CHUNK: usize = 256;

/// Fits, compares, and writes the artifact where one is asked for.
///
/// # Errors
/// Records or models cannot be read, or the artifact cannot be written.
pub(super) fn run(
    arguments: &TrainArgs,
    catalog: &dyn Catalog,
    embedder: &Embedder,
) -> anyhow::Result<String> {
    let mut records = selection::read(&arguments.data)?;
    records.thin(arguments.limit);
    let algorithm = match arguments.algorithm {
        SelectionAlgorithm::Knn => Algorithm::Knn,
        SelectionAlgorithm::Kmeans => Algorithm::KMeans,
    };
    let settings = Settings {
        algorithm,
        neighbours: arguments.neighbours,
        clusters: arguments.clusters,
    };
    let rows = rows(&records, arguments.categories, catalog, embedder)?;
    let trained = selection::train(&records, &rows, settings)?;
    if let Some(file) = &arguments.out {
        std::fs::write(file, &trained.artifact)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(trained.comparison.render())
}

/// What the router will ask the artifact with: the vector of the request by the same encoder, and
/// its category.
fn rows(
    records: &Records,
    categories: bool,
    catalog: &dyn Catalog,
    embedder: &Embedder,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut rows = Vec::with_capacity(records.rows.len());
    for chunk in records.rows.chunks(CHUNK) {
        let texts: Vec<String> = chunk.iter().map(|record| record.prompt.clone()).collect();
        let vectors = catalog.vectors(embedder, &texts)?;
        rows.extend(chunk.iter().zip(vectors).map(|(record, vector)| {
            features(&vector, if categories { &record.category } else { "" })
        }));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use ::selection::algorithms::learned::Artifact;
    use ::selection::algorithms::{kmeans::KMeans, knn::Knn};
    use clap::Parser as _;
    use inference::catalog::Wanted;
    use inference::fake::Fake;
    use std::fmt::Write as _;

    /// What is written here is what the router reads, and it names the model that was best nearby.
    #[test]
    fn the_router_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (data, out) = (
            folder.path().join("records.jsonl"),
            folder.path().join("artifact.json"),
        );
        let mut fake = Fake::default();
        let mut lines = String::new();
        for at in 0..100_u32 {
            // No two requests share words: near-duplicates would stay together.
            let words: Vec<String> = (0..8)
                .map(|word| format!("w{}", (at * 31 + word * 17) * 7_919 % 100_003))
                .collect();
            let (code, prompt) = (at % 2, words.join(" "));
            let side = f32::from(u16::try_from(code).unwrap());
            fake = fake.vector(
                &prompt,
                &[
                    side,
                    1.0 - side,
                    f32::from(u16::try_from(at).unwrap()) / 1_000.0,
                ],
            );
            writeln!(
                lines,
                r#"{{"prompt": "{prompt}", "s": {{"coder": {code}, "writer": {}}}}}"#,
                1 - code
            )
            .unwrap();
        }
        std::fs::write(&data, lines).unwrap();
        let embedder = fake.embedder(&Wanted::default()).unwrap();
        for algorithm in ["knn", "kmeans"] {
            let line = format!(
                "merit train selection --neighbours 3 --clusters 2 --algorithm {algorithm}"
            );
            let paths = [
                "--data",
                data.to_str().unwrap(),
                "--out",
                out.to_str().unwrap(),
            ];
            let words = line.split(' ').chain(paths);
            let Command::Train(arguments) = Cli::parse_from(words).command else {
                panic!("not train")
            };
            let said = run(&arguments, &fake, &embedder).unwrap();
            assert!(said.contains("beats the best single model"), "{said}");
            let json = std::fs::read_to_string(&out).unwrap();
            let artifact: Box<dyn Artifact> = match algorithm {
                "knn" => Box::new(Knn::read(&json, 0).unwrap()),
                _ => Box::new(KMeans::read(&json).unwrap()),
            };
            assert_eq!(artifact.dimension(), embedder.dimension + 14);
            assert_eq!(
                artifact.choose(&features(&[1.0, 0.0, 0.0], ""), &|_| true),
                Some("coder")
            );
            assert_eq!(
                artifact.choose(&features(&[0.0, 1.0, 0.0], ""), &|_| true),
                Some("writer")
            );
        }
    }
}
