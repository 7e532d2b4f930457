import { Slider } from "@fluentui/react-components";

/** A slider beside a field of numbers. */
export default function NumberSlider({ label, min, max, value, onChange }: { label: string; min: number; max: number; value: number; onChange: (value: number) => void }) {
  return <Slider aria-label={label} min={min} max={max} value={value} onChange={(_, data) => onChange(data.value)} />;
}
