/** Icons by name; each is imported by itself, so that only these are in the bundle. */

import {
  AppsListRegular,
  BoardRegular,
  BoxMultipleRegular,
  CertificateRegular,
  ClipboardTaskListLtrRegular,
  CloudFlowRegular,
  DatabaseSearchRegular,
  DocumentRegular,
  KeyMultipleRegular,
  LockClosedRegular,
  PeopleRegular,
  PersonKeyRegular,
  PlugConnectedRegular,
  ServerRegular,
  SettingsRegular,
  ShieldKeyholeRegular,
  TagMultipleRegular,
} from "@fluentui/react-icons";
import type { ReactElement } from "react";

const ICONS: Record<string, ReactElement> = {
  activity: <ClipboardTaskListLtrRegular />,
  all: <AppsListRegular />,
  certificate: <CertificateRegular />,
  device: <PlugConnectedRegular />,
  document: <DocumentRegular />,
  graph: <DatabaseSearchRegular />,
  group: <BoxMultipleRegular />,
  hub: <ServerRegular />,
  iam: <PeopleRegular />,
  identity: <PersonKeyRegular />,
  key: <KeyMultipleRegular />,
  lock: <LockClosedRegular />,
  overview: <BoardRegular />,
  policy: <ShieldKeyholeRegular />,
  provisioning: <CloudFlowRegular />,
  registry: <CertificateRegular />,
  settings: <SettingsRegular />,
  subscription: <KeyMultipleRegular />,
  tag: <TagMultipleRegular />,
};

/** The icon of a name; the page's plain one where there is none. */
export function iconOf(name: string): ReactElement {
  return ICONS[name] ?? <DocumentRegular />;
}
