/** What a person presses and fills in. */
import type { ComponentChildren, InputHTMLAttributes } from 'preact';
import { useId } from 'preact/hooks';

interface ButtonProps {
  readonly children: ComponentChildren;
  readonly onClick?: () => void;
  /** `main`: the one thing to do here; `danger`: takes something away; `plain`: beside text. */
  readonly look?: 'main' | 'danger' | 'plain' | undefined;
  readonly type?: 'button' | 'submit';
  readonly isDisabled?: boolean;
  readonly label?: string;
}

export function Button({ children, onClick, look, type = 'button', isDisabled = false, label }: ButtonProps) {
  return (
    <button type={type} class={`button ${look ?? ''}`} disabled={isDisabled} aria-label={label} onClick={onClick}>
      {children}
    </button>
  );
}

interface InputProps {
  readonly type?: 'text' | 'email' | 'password' | 'number' | 'date' | 'datetime-local' | 'search' | 'tel';
  readonly autocomplete?: string;
  readonly inputMode?: 'numeric' | 'decimal';
  readonly required?: boolean;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly placeholder?: string;
}

interface FieldProps extends InputProps {
  readonly label: string;
  readonly name: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly hint?: string | undefined;
  /** What is wrong with the value. */
  readonly fault?: string | undefined;
}

/** A labelled input whose hint and fault a screen reader reads with it. */
export function Field({ label, name, value, onInput, hint, fault, ...input }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...(input as InputHTMLAttributes)}
        id={id}
        name={name}
        value={value}
        aria-invalid={fault !== undefined}
        aria-describedby={`${id}-more`}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <span id={`${id}-more`}>
        {hint !== undefined && <span class="hint">{hint}</span>}
        {fault !== undefined && <span class="fault">{fault}</span>}
      </span>
    </div>
  );
}

interface SelectProps {
  readonly label: string;
  readonly name: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, label: string])[];
  readonly onChange: (value: string) => void;
}

export function Select({ label, name, value, options, onChange }: SelectProps) {
  return (
    <div class="field">
      <label>
        {label}
        <select name={name} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {options.map(([one, text]) => (
            <option key={one} value={one}>
              {text}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
