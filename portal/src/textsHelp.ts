/** Texts of the pane of keyboard shortcuts, which no page begins with. */

export const SHORTCUTS: [string, string][] = [
  ["G, then /", "Search"],
  ["G, then N", "Create a resource"],
  ["G, then B", "All services"],
  ["G, then R", "Resource groups"],
  ["G, then A", "All resources"],
  ["G, then D", "Home"],
  ["G, then ,", "Command bar"],
  ["G, then .", "Top bar"],
  ["Ctrl+/", "Search the menu of a resource"],
  ["Esc", "Close a pane, dialog or list"],
];
