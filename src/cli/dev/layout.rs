//! The layout of a cluster on one machine: the ports, the directory and the settings file of
//! each node. `cluster/one-machine` contains the same files.

use std::path::{Path, PathBuf};

/// The ports and directories of a cluster on one machine.
#[derive(Clone, Debug)]
pub struct DevLayout {
    pub nodes: u16,
    /// The MCP port of node 1; the other nodes use the next ports.
    pub base_port: u16,
    /// The gRPC port of node 1; the other nodes use the next ports.
    pub base_grpc_port: u16,
    /// Contains the settings files and the data of each node.
    pub dir: PathBuf,
}

impl DevLayout {
    /// The numbers of the nodes.
    pub fn ids(&self) -> impl Iterator<Item = u16> + use<> {
        1..=self.nodes
    }

    pub fn port(&self, id: u16) -> u16 {
        self.base_port + (id - 1)
    }

    pub fn grpc_port(&self, id: u16) -> u16 {
        self.base_grpc_port + (id - 1)
    }

    /// Where MCP clients reach the node.
    pub fn url(&self, id: u16) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port(id))
    }

    /// The settings file of a node.
    pub fn file(&self, id: u16) -> PathBuf {
        self.dir.join(format!("node{id}.toml"))
    }

    /// The file that contains the process id of a node.
    pub fn pid_file(&self, id: u16) -> PathBuf {
        self.dir.join(format!("node{id}.pid"))
    }

    /// The file that exists while the cluster is ready, for scripts that wait for it. It
    /// contains the process id of `dev`.
    pub fn ready_file(&self) -> PathBuf {
        self.dir.join("ready")
    }

    /// All members, in the form of the setting `members`.
    fn members(&self) -> Vec<String> {
        self.ids().map(|id| format!("{id}=127.0.0.1:{}", self.grpc_port(id))).collect()
    }

    /// Writes the settings file of each node.
    ///
    /// # Errors
    /// The directory cannot be written, or it contains a cluster with other members, whose
    /// nodes would no longer find one another. The error is a line for the user.
    pub fn write(&self) -> Result<(), String> {
        let dir = self.dir.display();
        std::fs::create_dir_all(&self.dir).map_err(|error| format!("--dir {dir}: {error}"))?;
        let present = members_in(&self.file(1)).filter(|present| *present != self.members());
        if let Some(present) = present {
            let present = present.join(", ");
            return Err(format!(
                "--dir {dir}: contains a cluster with other nodes or ports ({present}); start it \
                 as before or choose another directory"
            ));
        }
        for id in self.ids() {
            let file = self.file(id);
            std::fs::write(&file, self.settings(id))
                .map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(())
    }

    /// The content of the settings file of a node.
    pub fn settings(&self, id: u16) -> String {
        let members: Vec<String> =
            self.members().iter().map(|member| format!("    {},\n", quoted(member))).collect();
        let members = members.concat();
        let data_dir = quoted(&self.dir.join(format!("node{id}")).to_string_lossy());
        let (nodes, port, grpc_port, url) =
            (self.nodes, self.port(id), self.grpc_port(id), self.url(id));
        format!(
            r#"# Node {id} of {nodes} on one machine. Start it with
#   mcp-state-sidecar serve --config node{id}.toml
# or all of them, in one terminal, with
#   mcp-state-sidecar dev
# Environment variables and flags of the same names win over this file.
state_backend = "raft"
cluster_name = "one-machine"

# Which node this is, and all there are: the same list in each node's file.
node_id = {id}
members = [
{members}]

# Where agents reach this node (/mcp), and people its health (/readyz) and
# metrics (/metrics).
host = "127.0.0.1"
port = {port}
advertise_url = "{url}"

# Where the other nodes reach it, and programs its gRPC service.
raft_addr = "127.0.0.1:{grpc_port}"

# Its log, snapshots and history: one folder a node, never shared.
data_dir = {data_dir}
"#
        )
    }
}

/// The members in a settings file. `None` if the file does not exist or has none.
fn members_in(file: &Path) -> Option<Vec<String>> {
    let table: toml::Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
    let members = table.get("members")?.as_array()?;
    Some(members.iter().filter_map(|member| member.as_str().map(str::to_owned)).collect())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(nodes: u16, dir: &Path) -> DevLayout {
        DevLayout { nodes, base_port: 8000, base_grpc_port: 9000, dir: dir.to_owned() }
    }

    #[test]
    fn the_files_in_the_repository_are_the_ones_that_dev_writes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/one-machine");
        let layout = layout(3, Path::new("sidecar-data"));
        for id in layout.ids() {
            let file = folder.join(format!("node{id}.toml"));
            let present = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(present, layout.settings(id), "{}", file.display());
        }
    }

    #[test]
    fn a_directory_with_another_cluster_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        layout(3, dir.path()).write().unwrap();
        layout(3, dir.path()).write().unwrap();
        let refused = layout(5, dir.path()).write().unwrap_err();
        assert!(refused.contains("other nodes or ports"), "{refused}");
        assert!(!dir.path().join("node4.toml").exists());
    }
}
