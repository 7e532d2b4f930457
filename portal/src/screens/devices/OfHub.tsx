import { useSearchParams } from "react-router";
import type { BladeProps } from "../../frames/ResourcePage";
import { hostOf, linkOf, partitionsOf } from "../hubs/hub";
import { DeviceView } from "./DeviceView";
import { HubDevices } from "./HubDevices";

/** Devices of a hub, or one of them. */
export default function OfHub({ id, resource }: BladeProps) {
  const [params] = useSearchParams();
  const device = params.get("device");
  const host = hostOf(resource);
  if (host === "") return null;
  const hub = { id: id.id, name: id.name, host };
  if (device) return <DeviceView key={device} hub={hub} device={device} namespace={linkOf(resource).namespaceResourceId} partitions={partitionsOf(resource)} />;
  return <HubDevices hub={hub} />;
}
