import { Popover, PopoverSurface } from "@fluentui/react-components";
import type { BubbleProps } from "./Bubble";

/** What a bubble looks like. */
export default function BubbleSurface({ open, target, label, onClose, children, withArrow = false, className }: BubbleProps) {
  return (
    <Popover
      open={open}
      withArrow={withArrow}
      trapFocus
      positioning={{ target }}
      onOpenChange={(event, data) => {
        const onTarget = event.type === "click" && event.target instanceof Node && target?.contains(event.target) === true;
        if (!data.open && !onTarget) onClose();
      }}
    >
      <PopoverSurface aria-label={label} {...(className ? { className } : {})}>
        {children}
      </PopoverSurface>
    </Popover>
  );
}
