import type { BladeProps } from "../../frames/ResourcePage";
import { RegistryDevices } from "./RegistryDevices";

/** Devices of a namespace. */
export default function OfNamespace({ id }: BladeProps) {
  return <RegistryDevices namespace={id.id} />;
}
