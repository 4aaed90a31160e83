/** Prints a Config in the syntax of sasyncd.conf, every default written out; for `sasyncd -n` and the log. */

import { formatAddress, formatPrefix } from "../record/address.ts";
import type { Config, IkeChoice, ListenStatement, PeerStatement, SharedKey } from "./config.ts";

/**
 * The configuration as text that parses to the same Config, but for the keys: a comment stands for each.
 * Ends with a newline.
 */
export function printConfig(config: Config): string {
  const lines = [
    `# ${JSON.stringify(config.file)}`,
    ...printInterface(config),
    `group ${config.group}`,
    `flushmode ${config.flushMode}`,
    `replay ${config.replay}`,
    ...(config.listen.length === 0 ? ["# listen on all local addresses"] : config.listen.map(printListen)),
    ...(config.mode === undefined ? [] : [`mode ${config.mode}`]),
    ...(config.skipSlave ? ["mode skipslave"] : []),
    `protocol ${config.protocol}`,
    ...config.peers.map((peer) => printPeer(peer, config)),
    `# ${printKey(config.sharedKey)}`,
    ...(config.nextKey === undefined ? [] : [`# ${printKey(config.nextKey, "sharedkey next")}`]),
    ...(config.allowWeakKey ? ["sharedkey weak"] : []),
    `control ${printControl(config.control)}`,
    `renegotiate ${config.renegotiatePerSecond === undefined ? "off" : `${config.renegotiatePerSecond}/s`}`,
    ...(config.controlSocket === undefined ? [] : [`control socket ${config.controlSocket}`]),
    ...(config.user === undefined ? [] : [`user ${config.user}`]),
    `kernel ${config.kernel}`,
    ...printPfkey(config),
    ...config.shared.map((prefix) => `shared ${formatPrefix(prefix)}`),
    ...config.exclude.map((prefix) => `exclude ${formatPrefix(prefix)}`),
    ...printDemote(config),
    ...printMetrics(config),
    ...config.checkFiles.map((path) => `check file ${path}`),
  ];
  return lines.join("\n") + "\n";
}

function printInterface({ interface: name, virtualAddress }: Config): string[] {
  if (name === undefined) return [];
  return [
    `interface ${name}${virtualAddress === undefined ? "" : ` address ${formatAddress(virtualAddress)}`}`,
  ];
}

function printDemote({ demoteFile }: Config): string[] {
  return demoteFile === undefined ? [] : [`demote file ${demoteFile.path} weight ${demoteFile.weight}`];
}

function printMetrics({ metrics }: Config): string[] {
  return metrics === undefined
    ? []
    : [`metrics listen on ${formatAddress(metrics.address)} port ${metrics.port}`];
}

function printControl(control: IkeChoice): string {
  if (typeof control === "string") return control;
  if (control.daemon === "exec") return `exec "${control.command.join(" ")}"`;
  return `strongswan socket ${control.socket}`;
}

function printPfkey({ pfkey: { truncation, noEsn } }: Config): string[] {
  return [
    ...(truncation === undefined ? [] : [`pfkey assume-truncation ${truncation}`]),
    ...(noEsn ? ["pfkey assume-no-esn"] : []),
  ];
}

function printListen({ target, family, port }: ListenStatement): string {
  const inet = family === undefined ? "" : family === 4 ? " inet" : " inet6";
  return `listen on ${target}${inet} port ${port}`;
}

function printPeer({ target, port, sharedKey, slaveOnly, protocol }: PeerStatement, node: Config): string {
  const own = protocol === node.protocol ? "" : ` protocol ${protocol}`;
  const key = sharedKey === undefined ? "" : ` # ${printKey(sharedKey)}`;
  return `peer ${target} port ${port}${slaveOnly ? " role slave" : ""}${own}${key}`;
}

function printKey({ kind, bytes }: SharedKey, what = "sharedkey"): string {
  return `${what} (hidden, ${bytes.length} bytes, ${kind})`;
}
