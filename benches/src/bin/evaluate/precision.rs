//! What int8 costs beside fp32, and the domain head on the encoder alone.

use crate::asking::Asking;
use crate::report::{Report, Table, at_least, figure, percent};
use crate::sequence::{everyday, shipped};
use crate::sets::{Set, Sets, corpus};
use anyhow::Result;
use benches::models::Models;
use inference::ask::Over;
use inference::catalog::{Catalog as _, Task, Wanted};
use inference::head::Block;
use inference::heads;
use inference::settings::Precision;
use std::sync::Arc;
use training::features::ByEngine;
use training::{TrainOptions, train};

/// Held-out questions that are read twice.
const SAMPLE: usize = 500;

pub(crate) fn run(asking: &Asking, sets: &Sets, report: &mut Report) -> Result<()> {
    let mut table = Table::new(
        "precision of the encoder, by domain accuracy",
        &["texts", "n", "int8", "fp32", "loss"],
    );
    let Some(small) = shipped(asking, Task::Domain)? else {
        return Ok(());
    };
    let full = Models::on(Arc::clone(&asking.models.runtime), 0, Precision::Fp32)?;
    let large = full.library.classifier(Task::Domain, &Wanted::default())?;
    let mut named = vec![("everyday questions".to_owned(), everyday(sets)?)];
    let held_out = sets.held_out(Task::Domain)?;
    let pro = Set::of(&held_out, ["mmlu_pro"]).sample(SAMPLE);
    named.push(("mmlu_pro, held out".to_owned(), pro));
    for (name, set) in named.into_iter().filter(|(_, set)| !set.texts.is_empty()) {
        let [int8, fp32] = [&small, &large].map(|by| -> Result<f64> {
            Ok(set
                .scored(asking.probabilities(&set.texts, by, Over::Sample)?)
                .accuracy())
        });
        let (int8, fp32) = (int8?, fp32?);
        table.row(vec![
            name,
            set.texts.len().to_string(),
            percent(int8),
            percent(fp32),
            percent(fp32 - int8),
        ]);
    }
    report.add(table);
    Ok(())
}

/// Fits the domain head without static embeddings, for figures only.
pub(crate) fn encoder_alone(asking: &Asking, sets: &Sets, report: &mut Report) -> Result<()> {
    let (Some(data), Some(head)) = (sets.data(), heads::shipped(Task::Domain)) else {
        return Ok(());
    };
    let statics: Vec<Block> = head.card().features.iter().skip(1).cloned().collect();
    let embedder = asking.models.encoder()?;
    let mut features = ByEngine {
        engine: &asking.models.engine,
        embedder,
        statics,
    };
    let options = TrainOptions {
        task: Task::Domain,
        name: None,
        data: data.to_owned(),
        corpus: corpus(),
        out: None,
        encoder_only: true,
        languages: false,
        leave_one_out: false,
        evaluation: Some(crate::sets::evaluation().join("domain_everyday.jsonl")),
        command: String::new(),
    };
    let fitted = train(&options, &mut features, &mut std::io::sink())?;
    let head = [
        "texts",
        "n",
        "accuracy",
        "macro-F1",
        "calibration error",
        "goal, accuracy",
    ];
    let mut table = Table::new("domain, fitted again on the encoder alone", &head);
    for set in fitted.figures {
        let goal = if set.name == "test_mmlu_pro" {
            at_least(set.accuracy, 0.78)
        } else {
            String::new()
        };
        let figures = [
            percent(set.accuracy),
            figure(set.macro_f1),
            figure(set.calibration_error),
            goal,
        ];
        table.row(
            [set.name, set.texts.to_string()]
                .into_iter()
                .chain(figures)
                .collect(),
        );
    }
    report.add(table);
    Ok(())
}
