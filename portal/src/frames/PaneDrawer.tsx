import { Button, DrawerBody, DrawerFooter, DrawerHeader, DrawerHeaderTitle, OverlayDrawer, Spinner } from "@fluentui/react-components";
import { DismissRegular } from "@fluentui/react-icons";
import { Suspense } from "react";
import { t } from "../texts";
import type { PaneProps } from "./Pane";

/** What a pane looks like. */
export default function PaneDrawer(props: PaneProps) {
  return (
    <OverlayDrawer
      open={props.open}
      position="end"
      size={props.wide ? "large" : "medium"}
      onOpenChange={(_, data) => {
        if (!data.open) props.onClose();
      }}
    >
      <DrawerHeader>
        <DrawerHeaderTitle
          action={<Button appearance="subtle" aria-label={t.common.close} icon={<DismissRegular />} onClick={props.onClose} />}
        >
          {props.title}
        </DrawerHeaderTitle>
      </DrawerHeader>
      <DrawerBody>
        <Suspense fallback={<Spinner label={t.common.loading} />}>{props.open ? props.children : null}</Suspense>
      </DrawerBody>
      {props.footer && <DrawerFooter>{props.footer}</DrawerFooter>}
    </OverlayDrawer>
  );
}
