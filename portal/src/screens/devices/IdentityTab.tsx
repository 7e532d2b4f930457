import { DeleteRegular, KeyRegular, PauseRegular, PlayRegular } from "@fluentui/react-icons";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useNavigate } from "react-router";
import { readDevice, timeText, type Twin } from "../../api/hubData";
import { send } from "../../api/http";
import { pageOf } from "../../api/resourceId";
import { CommandBar } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Essentials } from "../../frames/Essentials";
import { Failure } from "../../frames/Failure";
import { Loaded } from "../../frames/Loaded";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { deleteSteps, regeneratePath, rowOf, statusSteps, useTwin } from "./devices";

interface Hub {
  id: string;
  name: string;
  host: string;
}

/** Milliseconds for which keys are shown. */
const SHOWN_MS = 60_000;

/** What the twin says of an identity; its keys are read when somebody asks for them, and forgotten after a minute. */
export function IdentityTab({ hub, device }: { hub: Hub; device: string }) {
  const found = useTwin(hub.host, device);
  return <Loaded of={found}>{(twin) => <Identity hub={hub} device={twin} />}</Loaded>;
}

function Identity({ hub, device }: { hub: Hub; device: Twin }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const keys = useMutation({ mutationFn: () => readDevice(hub.host, device.deviceId), gcTime: 0 });
  const { reset } = keys;
  useEffect(() => {
    if (!keys.data) return undefined;
    const timer = setTimeout(reset, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [keys.data, reset]);
  const [asked, setAsked] = useState<"disable" | "delete" | "primaryKey" | "secondaryKey" | undefined>(undefined);
  const row = rowOf(hub, device);
  const sas = row.authentication === "sas";
  const pair = keys.data?.authentication?.symmetricKey;
  const prints = device.x509Thumbprint;
  const needs = (word: string) => ({ action: `Microsoft.Devices/IotHubs/devices/${word}`, scope: hub.id, data: true });
  const regenerate = useMutation({
    mutationFn: (policyKey: string) => send({ method: "POST", path: regeneratePath(hub.host), audience: "hub", body: { policyKey, devices: [{ id: device.deviceId }] } }),
    onSuccess: async () => {
      reset();
      await client.invalidateQueries({ queryKey: ["twin", hub.host, device.deviceId] });
    },
  });
  const run = (what: NonNullable<typeof asked> | "enable") => {
    if (what === "primaryKey" || what === "secondaryKey") return regenerate.mutate(what);
    const remove = what === "delete";
    const steps = remove ? deleteSteps([row], () => hub.host) : statusSteps([row], () => hub.host, what === "enable" ? "enabled" : "disabled");
    const words = { delete: t.devices.deletePlan, enable: t.devices.enablePlan, disable: t.devices.disablePlan };
    deployments.start({ title: `${words[what](1)}: ${device.deviceId}`, steps });
    if (remove) void navigate(pageOf(hub.id, "devices"));
    return undefined;
  };
  const titles = { disable: t.devices.disablePlan(1), delete: t.devices.deletePlan(1), primaryKey: t.keys.regeneratePrimary, secondaryKey: t.keys.regenerateSecondary };
  const words = { disable: t.devices.disableText, delete: t.devices.deleteText, primaryKey: t.keys.regenerateText, secondaryKey: t.keys.regenerateText };
  return (
    <>
      <CommandBar
        commands={[
          device.status === "enabled"
            ? { id: "status", label: t.devices.disable, icon: <PauseRegular />, needs: needs("write"), onClick: () => setAsked("disable") }
            : { id: "status", label: t.devices.enable, icon: <PlayRegular />, needs: needs("write"), onClick: () => run("enable") },
          ...(sas
            ? [
                { id: "keys", label: pair ? t.keys.hide : t.devices.showKeys, icon: <KeyRegular />, needs: needs("read"), onClick: () => (pair ? reset() : keys.mutate()) },
                { id: "primary", label: t.keys.regeneratePrimary, needs: needs("write"), onClick: () => setAsked("primaryKey") },
                { id: "secondary", label: t.keys.regenerateSecondary, needs: needs("write"), onClick: () => setAsked("secondaryKey") },
              ]
            : []),
          { id: "delete", label: t.common.delete, icon: <DeleteRegular />, needs: needs("delete"), onClick: () => setAsked("delete") },
        ]}
      />
      {regenerate.error && <Failure fault={regenerate.error} />}
      {keys.error && <Failure fault={keys.error} />}
      <Essentials
        facts={[
          { label: t.devices.id, value: device.deviceId },
          { label: t.devices.status, value: device.status === "disabled" ? t.devices.disabled : t.devices.enabled },
          { label: t.devices.statusReason, value: device.statusReason ?? undefined },
          { label: t.devices.authentication, value: t.devices.kinds[row.authentication] ?? row.authentication },
          { label: t.devices.connection, value: device.connectionState },
          { label: t.devices.lastActivity, value: timeText(device.lastActivityTime) },
          { label: t.devices.iotEdge, value: row.edge ? t.common.yes : t.common.no },
          ...(pair && sas
            ? [
                { label: t.devices.primaryKey, value: pair.primaryKey ?? undefined },
                { label: t.devices.secondaryKey, value: pair.secondaryKey ?? undefined },
                { label: t.devices.connectionString, value: `HostName=${hub.host};DeviceId=${device.deviceId};SharedAccessKey=${pair.primaryKey ?? ""}` },
              ]
            : []),
          ...(row.authentication === "selfSigned"
            ? [
                { label: t.devices.primaryThumbprint, value: prints?.primaryThumbprint ?? undefined },
                { label: t.devices.secondaryThumbprint, value: prints?.secondaryThumbprint ?? undefined },
              ]
            : []),
        ]}
      />
      <Confirm open={asked !== undefined} title={asked ? `${titles[asked]}: ${device.deviceId}` : ""} action={t.common.yes} onConfirm={() => asked && run(asked)} onClose={() => setAsked(undefined)}>
        {asked && words[asked]}
      </Confirm>
    </>
  );
}
