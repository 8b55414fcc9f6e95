//! Folders that belong to this installation: where the executable lies, and where the shared library lies that this
//! code is in. Both are places to look for ONNX Runtime and for model packages.

use std::path::{Path, PathBuf};

/// The executable's folder and the shared library's, each once, as far as they are known.
pub(super) fn own_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for file in [std::env::current_exe().ok(), own_library()].into_iter().flatten() {
        // A link in some `bin` folder points to where the rest of the installation is.
        for file in [Some(file.clone()), file.canonicalize().ok()].into_iter().flatten() {
            for folder in installed_in(&file) {
                if !folders.contains(&folder) {
                    folders.push(folder);
                }
            }
        }
    }
    folders
}

/// A file's folder; for a plugin also the libraries' folder, as plugins lie in `lib/fieldpress/<host>`.
fn installed_in(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent();
    let above = folder.and_then(Path::parent);
    let libraries = above.filter(|above| above.ends_with("fieldpress")).and_then(Path::parent);
    [folder, libraries].into_iter().flatten().map(Path::to_path_buf).collect()
}

/// The file that holds this function, as the kernel's map of the process tells it; the executable where this code is
/// linked statically, nothing on systems without such a map.
fn own_library() -> Option<PathBuf> {
    library_at(&std::fs::read_to_string("/proc/self/maps").ok()?, own_library as fn() -> Option<PathBuf> as usize)
}

/// The file mapped at `address`; lines are `start-end perms offset device inode path`.
fn library_at(maps: &str, address: usize) -> Option<PathBuf> {
    let line = maps.lines().find(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let parse = |text| usize::from_str_radix(text, 16).ok();
        range.and_then(|(start, end)| Some((parse(start)?..parse(end)?).contains(&address))).unwrap_or(false)
    })?;
    let path = &line[line.find('/')?..];
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mapping_of_an_address() {
        let maps = "1000-2000 r--p 00000000 08:01 1 /a/b c.so\n2000-3000 r-xp 00001000 08:01 1 /a/b c.so\n\
                    4000-5000 rw-p 00000000 00:00 0 \nbroken line\n";
        assert_eq!(library_at(maps, 0x2fff), Some(PathBuf::from("/a/b c.so")));
        assert_eq!(library_at(maps, 0x3000), None);
        assert_eq!(library_at(maps, 0x4000), None);
    }

    #[test]
    fn plugins_belong_to_the_folder_of_libraries() {
        let plugin = installed_in(Path::new("/opt/x/lib/fieldpress/adios2/libfieldpress_adios2.so"));
        assert_eq!(plugin, [PathBuf::from("/opt/x/lib/fieldpress/adios2"), PathBuf::from("/opt/x/lib")]);
        assert_eq!(installed_in(Path::new("/opt/x/lib/libfieldpress.so")), [PathBuf::from("/opt/x/lib")]);
    }

    #[test]
    fn the_executable_folder_is_among_them() {
        let exe = std::env::current_exe().unwrap();
        assert!(own_folders().contains(&exe.parent().unwrap().to_path_buf()));
    }
}
