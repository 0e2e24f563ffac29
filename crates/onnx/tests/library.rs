//! A library that is none. In a process of its own, as a process loads one library.

use onnx::{Runtime, RuntimeSettings, StartError};

#[test]
fn a_wrong_library_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libonnxruntime.so");
    std::fs::write(&file, "no library").unwrap();
    let library = Some(file.clone());
    let settings = RuntimeSettings {
        library,
        models: folder.path().to_owned(),
        providers: Vec::new(),
    };
    let error = Runtime::load(&settings).unwrap_err();
    assert!(
        matches!(&error, StartError::Unloadable { file: named, .. } if *named == file),
        "{error}"
    );
    assert!(error.to_string().contains("set --onnxruntime"), "{error}");
}
