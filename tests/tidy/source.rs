//! What one file of the crate names, exports and defines, as the parser sees it.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

use crate::ROOTS;

/// A module's path from the root of the crate.
pub type Module = Vec<String>;

/// One file of the crate.
pub struct Source {
    pub path: String,
    pub module: Module,
    pub text: String,
    /// What it names of this crate, as paths from the root.
    pub named: BTreeSet<Module>,
    /// How other paths begin: with other crates, and with whatever is local.
    pub foreign: BTreeSet<String>,
    /// What it re-exports: the name here, and the path from the root.
    pub exports: BTreeMap<String, Module>,
    pub types: Vec<String>,
    /// What a map may not hold.
    pub defines: bool,
    pub words: BTreeSet<String>,
}

/// Collects what one file names.
struct Names<'a> {
    module: &'a Module,
    modules: &'a BTreeSet<Module>,
    /// What a name in this file stands for, where it was imported.
    imported: BTreeMap<String, Module>,
    source: Source,
}

impl Names<'_> {
    /// The path from the root of the crate, where it leads to something of this crate.
    fn absolute(&self, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first().expect("a path has a segment");
        let supers = path.iter().take_while(|part| *part == "super").count();
        match first.as_str() {
            "crate" | "mcp_state_sidecar" => Some(rest.to_vec()),
            "self" => Some([self.module, rest].concat()),
            "super" => {
                let base = self.module.len().saturating_sub(supers);
                Some([&self.module[..base], &path[supers..]].concat())
            }
            name => {
                let child = [self.module, &path[..1]].concat();
                let child = self.modules.contains(&child).then_some(&child);
                let stands_for = self.imported.get(name).or(child)?;
                Some([stands_for, rest].concat())
            }
        }
    }

    fn take_use(&mut self, tree: &UseTree, before: &[String], is_export: bool) {
        let (name, path) = match tree {
            UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                return self.take_use(&path.tree, &before, is_export);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.take_use(tree, before, is_export));
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.last().cloned().unwrap_or_default(), before.to_vec())
            }
            UseTree::Name(name) => {
                (name.ident.to_string(), [before, &[name.ident.to_string()]].concat())
            }
            UseTree::Rename(rename) => {
                (rename.rename.to_string(), [before, &[rename.ident.to_string()]].concat())
            }
            UseTree::Glob(_) => ("*".to_string(), before.to_vec()),
        };
        self.source.words.extend(path.iter().cloned());
        let Some(path) = self.absolute(&path) else {
            self.source.foreign.insert(path[0].clone());
            return;
        };
        if is_export {
            self.source.exports.insert(name.clone(), path.clone());
        }
        self.imported.insert(name, path);
    }

    /// The paths inside a macro's arguments, which are tokens to the parser.
    fn take_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut is_lifetime = false;
        for token in tokens {
            let after_quote = std::mem::take(&mut is_lifetime);
            match token {
                TokenTree::Ident(_) if after_quote => continue,
                TokenTree::Ident(ident) => {
                    self.source.words.insert(ident.to_string());
                    path.push(ident.to_string());
                    continue;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => continue,
                TokenTree::Punct(punct) if punct.as_char() == '\'' => is_lifetime = true,
                TokenTree::Group(group) => self.take_tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            self.take_path(std::mem::take(&mut path));
        }
        self.take_path(path);
    }

    fn take_path(&mut self, path: Vec<String>) {
        let Some(first) = path.first() else { return };
        match self.absolute(&path) {
            Some(path) => self.source.named.insert(path),
            None if path.len() > 1 => self.source.foreign.insert(first.clone()),
            // A variable, or a name of the prelude.
            None => false,
        };
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, type_name) = match item {
            Item::Mod(item) => (&item.attrs, None),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            Item::Fn(item) => (&item.attrs, None),
            Item::Impl(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if is_test(attributes) {
            return;
        }
        self.source.types.extend(type_name.map(|name| name.to_string()));
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_export = !matches!(item.vis, Visibility::Inherited);
        self.take_use(&item.tree, &[], is_export);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.take_path(path.segments.iter().map(|part| part.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.take_tokens(call.tokens.clone());
    }

    fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
        self.source.words.insert(ident.to_string());
    }

    // 'static is another word than static.
    fn visit_lifetime(&mut self, _: &'ast syn::Lifetime) {}

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.source.words.insert("static".into());
        visit::visit_item_static(self, item);
    }

    fn visit_expr_unsafe(&mut self, expr: &'ast syn::ExprUnsafe) {
        self.source.words.insert("unsafe".into());
        visit::visit_expr_unsafe(self, expr);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if signature.asyncness.is_some() {
            self.source.words.insert("async".into());
        }
        visit::visit_signature(self, signature);
    }
}

/// What the file at `path` (below `src`) names and defines.
pub fn read(path: &str, text: &str, modules: &BTreeSet<Module>) -> Source {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let module = module_of(path);
    let defines = file.items.iter().any(|item| match item {
        Item::Mod(item) => item.content.is_some() && !is_test(&item.attrs),
        Item::Use(_) | Item::ExternCrate(_) => false,
        _ => true,
    });
    let source = Source {
        path: path.to_string(),
        module: module.clone(),
        text: text.to_string(),
        named: BTreeSet::new(),
        foreign: BTreeSet::new(),
        exports: BTreeMap::new(),
        types: Vec::new(),
        defines,
        words: BTreeSet::new(),
    };
    let mut names = Names { module: &module, modules, imported: BTreeMap::new(), source };
    // Imports first: code may use a name above the line that imports it.
    for item in &file.items {
        if let Item::Use(item) = item
            && !is_test(&item.attrs)
        {
            names.visit_item_use(item);
        }
    }
    names.visit_file(&file);
    let Names { imported, mut source, .. } = names;
    source.named.extend(imported.into_values());
    source
}

/// `store/raft/log/mod.rs` is `store::raft::log`; the crate's root has no path.
pub fn module_of(path: &str) -> Module {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    if ROOTS.contains(&path) {
        return Module::new();
    }
    path.split('/').map(str::to_string).collect()
}

/// Reads every `(path, text)`.
pub fn read_all(files: &[(String, String)]) -> BTreeMap<Module, Source> {
    let modules: BTreeSet<Module> = files.iter().map(|(path, _)| module_of(path)).collect();
    // The roots of the programs share the empty path with the library; nothing
    // imports them.
    let files = files.iter().filter(|(path, _)| path != "main.rs" && !path.starts_with("bin/"));
    files.map(|(path, text)| (module_of(path), read(path, text, &modules))).collect()
}
