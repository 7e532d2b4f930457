import { Text } from "@fluentui/react-components";
import { Box } from "../../frames/Box";
import { useEffect, useState } from "react";
import { Line } from "../../frames/Bars";
import { Failure } from "../../frames/Failure";
import type { BladeProps } from "../../frames/ResourcePage";
import { t } from "../../texts";
import { Tiles } from "../common/Tile";
import { hostOf } from "../hubs/hub";
import { useConnected, useQuotas } from "../hubs/numbers";
import { rates } from "./rates";

/** Milliseconds between two samples, and samples that are kept: half an hour. */
const EVERY_MS = 5000;
const KEPT = 360;

/** Values of `value` since the page was opened, one for each reading. */
function useSamples(value: number | undefined, readAt: number): number[] {
  const [samples, setSamples] = useState<number[]>([]);
  useEffect(() => {
    if (value !== undefined) setSamples((before) => [...before, value].slice(-KEPT));
  }, [value, readAt]);
  return samples;
}

/** Connections, messages and devices of a hub, as it tells them now, over the time that the page is open. */
export default function OfHub({ id, resource }: BladeProps) {
  const host = hostOf(resource);
  const quotas = useQuotas(id.id, EVERY_MS);
  const connected = useConnected(host, EVERY_MS);
  const messages = useSamples(quotas.data?.messages, quotas.dataUpdatedAt);
  const devices = useSamples(quotas.data?.devices, quotas.dataUpdatedAt);
  const connections = useSamples(connected.data, connected.dataUpdatedAt);
  return (
    <>
      <Text block>
        {t.metrics.text} ({t.metrics.every(EVERY_MS / 1000)})
      </Text>
      {quotas.error && <Failure fault={quotas.error} retry={() => void quotas.refetch()} />}
      {connected.error && <Failure fault={connected.error} retry={() => void connected.refetch()} />}
      <Tiles>
        <Chart label={t.metrics.connected} samples={connections} />
        <Chart label={t.metrics.rate} samples={rates(messages, EVERY_MS)} />
        <Chart label={t.metrics.messages} samples={messages} />
        <Chart label={t.metrics.devices} samples={devices} />
      </Tiles>
    </>
  );
}

function Chart({ label, samples }: { label: string; samples: number[] }) {
  const last = samples[samples.length - 1];
  return (
    <Box name={label}>
      <Text weight="semibold">{label}</Text>
      <Text size={600}>{last === undefined ? "–" : last.toLocaleString()}</Text>
      <Line samples={samples} label={t.metrics.value(label, last ?? 0)} />
    </Box>
  );
}
