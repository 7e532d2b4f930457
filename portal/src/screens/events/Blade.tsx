import type { BladeProps } from "../../frames/ResourcePage";
import { partitionsOf } from "../hubs/hub";
import EventsView from "./EventsView";

/** Events of a hub. */
export default function Blade({ id, resource }: BladeProps) {
  return resource ? <EventsView hubId={id.id} partitions={partitionsOf(resource)} /> : null;
}
