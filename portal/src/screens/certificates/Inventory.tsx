/** The certificates that a namespace gave to devices, page by page. */

import { ArrowDownloadRegular } from "@fluentui/react-icons";
import { useMemo } from "react";
import { pageOf, parseId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { List, type Column, type Facet } from "../../frames/List";
import { Mark } from "../../frames/Mark";
import { t } from "../../texts";
import { daysLeft, inventorySource, NEAR, type Certificate } from "./inventory";
import { useChain } from "./useChain";

const FACETS: Facet<Certificate>[] = [
  { id: "state", label: t.issued.state, choices: Object.entries(t.issued.states).map(([value, label]) => ({ value, label })) },
  { id: "expires", label: t.issued.expires, choices: [7, NEAR, 90, 365].map((days) => ({ value: String(days), label: t.issued.days(days) })) },
];

function columnsOf(oneDevice: boolean): Column<Certificate>[] {
  const columns: Column<Certificate>[] = [
    { id: "serial", label: t.issued.serial, text: (row) => row.properties.serialNumber },
    {
      id: "device",
      label: t.issued.device,
      text: (row) => row.properties.deviceId,
      show: (row) => (row.properties.deviceResourceId ? <AppLink to={pageOf(row.properties.deviceResourceId)}>{row.properties.deviceId}</AppLink> : row.properties.deviceId),
      hidden: oneDevice,
    },
    { id: "state", label: t.issued.state, text: (row) => t.issued.states[row.properties.state] ?? row.properties.state },
    { id: "from", label: t.issued.from, text: (row) => row.properties.validityNotBefore, show: (row) => new Date(row.properties.validityNotBefore).toLocaleString(), hidden: true },
    { id: "until", label: t.issued.until, text: (row) => row.properties.validityNotAfter, show: (row) => <Until row={row} /> },
    { id: "issuer", label: t.issued.issuer, text: (row) => row.properties.issuer.subject ?? "", show: (row) => <Issuer row={row} /> },
    { id: "thumbprint", label: t.issued.thumbprint, text: (row) => row.properties.thumbprint, hidden: true },
  ];
  return columns.map((column) => ({ ...column, unsorted: true }));
}

function Until({ row }: { row: Certificate }) {
  const end = row.properties.validityNotAfter;
  const left = daysLeft(end, new Date().getTime());
  return (
    <>
      {new Date(end).toLocaleString()}{" "}
      {row.properties.state === "Active" && left <= NEAR && (
        <Mark>
          {t.issued.dayLeft(left)}
        </Mark>
      )}
    </>
  );
}

/** The policy that issued it has the name of its authority. */
function Issuer({ row }: { row: Certificate }) {
  const { subject, certificateAuthorityResourceId: id } = row.properties.issuer;
  const parsed = id ? parseId(id) : undefined;
  if (!parsed?.parent) return subject ?? "";
  return <AppLink to={pageOf(`${parsed.parent}/credentials/default/policies/${parsed.name}`)}>{subject ?? parsed.name}</AppLink>;
}

export function Inventory({ namespace, device, policy }: { namespace: string; device?: string; policy?: string }) {
  const source = useMemo(() => inventorySource(namespace, { device, policy }), [namespace, device, policy]);
  const chain = useChain();
  const columns = useMemo(() => columnsOf(device !== undefined), [device]);
  return (
    <>
      {!device && <p>{t.issued.hint}</p>}
      {chain.note}
      <List
        label={t.plantBlades.issued}
        source={source}
        columns={columns}
        rowId={(row) => row.id}
        facets={FACETS}
        selectable
        commands={({ rows: [first, ...more] }) => [
          {
            id: "pem",
            label: t.issued.download,
            icon: <ArrowDownloadRegular />,
            off: first && more.length === 0 ? undefined : t.issued.markOne,
            onClick: () => first && chain.save(first.id, first.properties.deviceId),
          },
        ]}
        searchable={device === undefined}
        empty={t.issued.empty}
      />
    </>
  );
}
