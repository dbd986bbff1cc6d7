/** The rows of a limits form for what is spent in the last hours. */
import { useEffect, useRef } from 'preact/hooks';
import { Button, Field } from './controls.js';
import { countText } from './format.js';
import { language, t } from './messages.js';
import {
  type RollingFault,
  type RollingField,
  type RollingRow,
  rollingCountMax,
  rollingHoursMax,
  rollingMax,
  rollingName,
  withRow,
} from './rolling.js';

interface RollingFieldsProps {
  readonly rows: readonly RollingRow[];
  readonly currency: string;
  /** By the name of the input. */
  readonly faults: Readonly<Record<string, RollingFault>>;
  readonly onChange: (rows: readonly RollingRow[]) => void;
}

export function RollingFields({ rows, currency, faults, onChange }: RollingFieldsProps) {
  const fieldset = useFocusAfterChange(rows.length);
  const labels = { hours: t('rolling.hours'), amount: t('rolling.amount', { currency }), count: t('rolling.count') };
  const field = (row: RollingRow, index: number, name: RollingField) => (
    <Field
      label={labels[name]}
      name={rollingName(index, name)}
      inputMode={name === 'amount' ? 'decimal' : 'numeric'}
      value={row[name]}
      fault={faultText(faults[rollingName(index, name)], currency)}
      onInput={(value) => onChange(rows.map((one) => (one === row ? { ...row, [name]: value } : one)))}
    />
  );
  return (
    <fieldset class="stack" ref={fieldset}>
      <legend>{t('rolling.title')}</legend>
      <p class="soft">{t('rolling.hint', { most: rollingMax })}</p>
      {rows.map((row, index) => (
        <fieldset key={row.key} class="stack">
          <legend>{t('rolling.window', { number: index + 1 })}</legend>
          <div class="columns">
            {field(row, index, 'hours')}
            {field(row, index, 'amount')}
            {field(row, index, 'count')}
          </div>
          <div>
            <Button onClick={() => onChange(rows.filter((one) => one !== row))}>
              {t('rolling.remove', { number: index + 1 })}
            </Button>
          </div>
        </fieldset>
      ))}
      <div>
        <Button isDisabled={rows.length >= rollingMax} onClick={() => onChange(withRow(rows))}>
          {t('rolling.add')}
        </Button>
      </div>
    </fieldset>
  );
}

/** A row that is added takes the focus. A row that leaves gives it to the button that adds one, not to the page. */
function useFocusAfterChange(length: number) {
  const fieldset = useRef<HTMLFieldSetElement>(null);
  const before = useRef(length);
  useEffect(() => {
    const wanted = length > before.current ? 'fieldset:last-of-type input' : ':scope > div button';
    if (length !== before.current) fieldset.current?.querySelector<HTMLElement>(wanted)?.focus();
    before.current = length;
  }, [length]);
  return fieldset;
}

function faultText(fault: RollingFault | undefined, currency: string): string | undefined {
  if (fault === undefined) return undefined;
  const number = (value: number) => countText(value, language.value);
  return t(`rolling.fault.${fault}`, {
    currency,
    most: number(fault === 'count' ? rollingCountMax : rollingHoursMax),
  });
}
