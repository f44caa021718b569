//! Folders that are there after a crash too.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Status};

/// Makes a folder, and those above it that are missing, for the owner alone, and has the disk hold them. One that is there stays as
/// it is. The error begins with `name`, what the path was given for.
pub(super) fn make(name: &str, path: &Path) -> Result<PathBuf, Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::invalid(format!("{name}: the path is missing")));
    }
    // It would be made, and found by nobody who looks for what was meant.
    if path.as_os_str().as_bytes().iter().any(u8::is_ascii_control) {
        return Err(Error::invalid(format!(
            "{name}: a control character stands in the path; was it read with the end of its line?"
        )));
    }
    // A path that hangs on the working folder would lead elsewhere after a change of that.
    let path = std::path::absolute(path).map_err(|error| cannot(name, path, error))?;
    make_lasting(&path).map_err(|error| cannot(name, &path, error))?;
    Ok(path)
}

/// Has the disk hold what a folder says of its files.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn make_lasting(path: &Path) -> io::Result<()> {
    let missing = path.ancestors().take_while(|folder| !folder.is_dir());
    // No recursion: some systems of files say "not found" however often the folder above is made.
    let missing: Vec<_> = missing.collect();
    missing.into_iter().rev().try_for_each(make_one)
}

fn make_one(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {
            sync(folder)?;
            folder.parent().map_or(Ok(()), sync)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if folder.is_dir() {
                Ok(())
            } else {
                Err(io::ErrorKind::NotADirectory.into())
            }
        }
        Err(error) => Err(error),
    }
}

fn cannot(name: &str, path: &Path, error: io::Error) -> Error {
    let text = format!(
        "{name}: the folder {} cannot be used: {error}",
        path.display()
    );
    Error::new(Status::Io, text).lasting().with_source(error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn folders_are_made_for_the_owner_alone_and_kept_as_they_are() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b");
        assert_eq!(make("folder", &path).unwrap(), path);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&base.path().join("a")), 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        make("folder", &path).unwrap();
        assert_eq!(mode(&path), 0o750);
    }

    #[test]
    fn what_cannot_be_a_folder_is_an_error_that_names_it() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        // Below the last nothing can be made, which is told as "not found".
        for path in [
            file.as_path(),
            &file.join("below"),
            Path::new("/proc/none/x"),
        ] {
            let error = make("folder", path).unwrap_err();
            assert_eq!(error.status(), Status::Io, "{error}");
            assert!(error.message().starts_with("folder: "), "{error}");
        }
        for path in ["", "a\0b", "a\n"] {
            let error = make("folder", Path::new(path)).unwrap_err();
            assert_eq!(error.status(), Status::InvalidArgument, "{error}");
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }
}
