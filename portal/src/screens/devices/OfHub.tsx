import { lazy } from "react";
import { useSearchParams } from "react-router";
import type { BladeProps } from "../../frames/ResourcePage";
import { hostOf, linkOf, partitionsOf } from "../hubs/hub";

// One of the two is shown: the other is not loaded.
const DeviceView = lazy(() => import("./DeviceView"));
const HubDevices = lazy(() => import("./HubDevices"));

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
