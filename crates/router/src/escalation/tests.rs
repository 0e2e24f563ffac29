//! Which algorithms of several models are run.

use super::*;
use crate::algorithms::Algorithm;
use selection::candidate::ModelRef;

fn build(kind: &str, confidence: Option<Confidence>) -> Option<Looper> {
    let candidates: Vec<Candidate> = ["a", "b"]
        .map(|model| {
            Candidate::unknown(ModelRef {
                model: model.to_owned(),
                ..ModelRef::default()
            })
        })
        .into();
    let algorithm = Algorithm {
        kind: kind.to_owned(),
        confidence,
        ..Algorithm::default()
    };
    algorithm.looper(&candidates)
}

#[test]
fn cascades_run_and_other_algorithms_of_several_models_do_not() {
    assert_eq!(build("static", None), None);
    assert_eq!(build("", None), None);
    assert_eq!(
        build("fusion", None),
        Some(Looper::NotRun("fusion_not_run"))
    );
    assert_eq!(
        build("ratings", None),
        Some(Looper::NotRun("ratings_not_run"))
    );
    let entailment = Confidence {
        confidence_method: "automix_entailment".to_owned(),
        ..Confidence::default()
    };
    assert_eq!(
        build("confidence", Some(entailment)),
        Some(Looper::NotRun("automix_entailment_not_run"))
    );
    let Some(Looper::Cascade(cascade)) = build("confidence", None) else {
        panic!("not run")
    };
    assert_eq!(
        (cascade.method, cascade.strict),
        (Method::AvgLogprob, false)
    );
    assert_eq!((cascade.queue(&[1]), cascade.name(1)), (vec![1], "b"));
}
