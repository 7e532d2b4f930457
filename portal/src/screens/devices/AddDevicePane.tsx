import { Button } from "@fluentui/react-components";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { asFault, type Fault } from "../../api/fault";
import { deviceCall } from "../../api/hubData";
import { parseId } from "../../api/resourceId";
import { azLine } from "../../azLine";
import { AzLine } from "../../frames/AzLine";
import { Failure } from "../../frames/Failure";
import { ChoiceField, SwitchField, TextField, type Reading } from "../../frames/Fields";
import { graphFinder } from "../../frames/resourceFinders";
import { Pane } from "../../frames/Pane";
import { deviceId, symmetricKey } from "../../rules";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { Row } from "../common/columns";
import { hostIn, HUBS } from "../provisioning/hubs";
import { newDeviceBody, thumbprintFault, type NewDevice } from "./devices";
import { devicePage } from "./paths";

const FIRST: NewDevice = { id: "", kind: "sas", autoKeys: true, primary: "", secondary: "", primaryThumbprint: "", secondaryThumbprint: "", enabled: true, edge: false };

export interface AddDeviceProps {
  open: boolean;
  hubs: { id: string; name: string; host: string }[];
  /** The reading that the hubs come from. */
  of: Reading;
  onClose: () => void;
}

export default function AddDevicePane(props: AddDeviceProps) {
  return (
    <Pane open={props.open} title={t.devices.addTitle} onClose={props.onClose}>
      <Form {...props} />
    </Pane>
  );
}

function faultsOf(device: NewDevice): Partial<Record<keyof NewDevice, string | undefined>> {
  const own = device.kind === "sas" && !device.autoKeys;
  const prints = device.kind === "selfSigned";
  return {
    id: deviceId(device.id),
    primary: own ? symmetricKey("primaryKey", device.primary) : undefined,
    secondary: own ? symmetricKey("secondaryKey", device.secondary) : undefined,
    primaryThumbprint: prints ? thumbprintFault(device.primaryThumbprint) : undefined,
    secondaryThumbprint: prints ? thumbprintFault(device.secondaryThumbprint) : undefined,
  };
}

function Form({ hubs, of, onClose }: AddDeviceProps) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [hubId, setHubId] = useState(hubs.length === 1 ? (hubs[0]?.id ?? "") : "");
  const [device, setDevice] = useState(FIRST);
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  useEffect(() => setFault(undefined), [device, hubId]);
  // Whoever closed the pane while it was written is elsewhere by now, and stays there: the notification leads to the device.
  const here = useRef(false);
  useEffect(() => {
    here.current = true;
    return () => {
      here.current = false;
    };
  }, []);
  const set = (change: Partial<NewDevice>) => setDevice({ ...device, ...change });
  const faults = faultsOf(device);
  const shown = (field: "id" | "primary" | "secondary" | "primaryThumbprint" | "secondaryThumbprint") => (asked || device[field] !== "" ? faults[field] : undefined);
  const far = useRef(new Map<string, AddDeviceProps["hubs"][number]>());
  const finder = graphFinder<Row>(HUBS, (row) => {
    far.current.set(row.id, { id: row.id, name: row.name, host: hostIn(row) });
    return { value: row.id, label: row.name };
  });
  const hub = hubs.find((each) => each.id === hubId) ?? far.current.get(hubId);
  const save = async () => {
    setAsked(true);
    if (!hub || busy || Object.values(faults).some((each) => each)) return;
    setBusy(true);
    const title = t.devices.plan(device.id);
    try {
      await deployments.perform({ title, steps: [{ title, ...deviceCall("PUT", hub.host, device.id, undefined, newDeviceBody(device)), secret: !device.autoKeys }], target: devicePage(hub.id, device.id) });
      await client.invalidateQueries();
      if (!here.current) return;
      onClose();
      void navigate(devicePage(hub.id, device.id));
    } catch (thrown) {
      setFault(asFault(thrown));
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {hubs.length !== 1 && <ChoiceField label={t.devices.hub} required value={hubId || undefined} choices={hubs.map((each) => ({ value: each.id, label: each.name }))} of={of} finder={finder} fault={asked && !hub ? t.devices.chooseHub : undefined} onChange={setHubId} />}
      <TextField label={t.devices.id} required value={device.id} fault={shown("id") ?? (fault?.code === "DeviceAlreadyExists" ? fault.message : undefined)} onChange={(id) => set({ id })} />
      <ChoiceField label={t.devices.authentication} required value={device.kind} choices={Object.entries(t.devices.kinds).map(([value, label]) => ({ value, label }))} onChange={(kind) => set({ kind })} />
      {device.kind === "sas" && <SwitchField label={t.devices.autoKeys} value={device.autoKeys} onChange={(autoKeys) => set({ autoKeys })} />}
      {device.kind === "sas" && !device.autoKeys && (
        <>
          <TextField label={t.devices.primaryKey} required type="password" value={device.primary} fault={shown("primary")} onChange={(primary) => set({ primary })} />
          <TextField label={t.devices.secondaryKey} required type="password" value={device.secondary} fault={shown("secondary")} onChange={(secondary) => set({ secondary })} />
        </>
      )}
      {device.kind === "selfSigned" && (
        <>
          <TextField label={t.devices.primaryThumbprint} required value={device.primaryThumbprint} fault={shown("primaryThumbprint")} onChange={(primaryThumbprint) => set({ primaryThumbprint })} />
          <TextField label={t.devices.secondaryThumbprint} required value={device.secondaryThumbprint} fault={shown("secondaryThumbprint")} onChange={(secondaryThumbprint) => set({ secondaryThumbprint })} />
        </>
      )}
      <SwitchField label={t.devices.connect} value={device.enabled} onChange={(enabled) => set({ enabled })} />
      <SwitchField label={t.devices.iotEdge} value={device.edge} onChange={(edge) => set({ edge })} />
      {fault && fault.code !== "DeviceAlreadyExists" && <Failure fault={fault} />}
      {hub && !faults.id && <AzLine lines={lineOf(hub, device)} />}
      <Button appearance="primary" disabledFocusable={busy} onClick={() => void save()} style={{ marginTop: "12px" }}>
        {t.common.save}
      </Button>
    </>
  );
}

const METHODS: Record<string, string> = { sas: "shared_private_key", selfSigned: "x509_thumbprint", certificateAuthority: "x509_ca" };

function lineOf(hub: { id: string; name: string }, device: NewDevice): string {
  const prints = device.kind === "selfSigned";
  const own = device.kind === "sas" && !device.autoKeys;
  return azLine("iot hub device-identity create", {
    "hub-name": hub.name,
    "resource-group": parseId(hub.id)?.group,
    "device-id": device.id,
    "auth-method": METHODS[device.kind],
    "primary-thumbprint": prints ? device.primaryThumbprint : undefined,
    "secondary-thumbprint": prints ? device.secondaryThumbprint : undefined,
    "primary-key": own ? "<key>" : undefined,
    "secondary-key": own ? "<key>" : undefined,
    "status": device.enabled ? "enabled" : "disabled",
    "edge-enabled": device.edge ? "true" : undefined,
  });
}
