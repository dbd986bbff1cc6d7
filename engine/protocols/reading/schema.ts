/**
 * Compiles a JSON schema into a check that answers with our FieldError. One description per field says what would be
 * right. So a sender reads the rule and never sees its own value, perhaps a card number, come back.
 */

import { createRequire } from 'node:module';
import type { Ajv as AjvClass, ErrorObject, ValidateFunction } from 'ajv';
import { words } from '../../../platform/problems/fault-words.js';
import type { FieldError } from '../../../platform/problems/field-error.js';

/** Description per dotted path, '' for the body: completes "must be …". */
export type Descriptions = Readonly<Record<string, string>>;

/** One fault, for callers with words of their own. */
export type SchemaFault = ErrorObject;

export type Check = (value: unknown) => FieldError | null;

/** Fields at fault beside the first one. More are no help, and an answer has an end. */
const othersMax = 19;

/**
 * Pattern of a text that may be kept: no control characters, and no lone surrogates (they have no UTF-8). Ajv compiles
 * patterns with the `u` flag, where a proper pair is one character and never matches \p{Cs}.
 */
export const keptTextPattern = '^[^\\u0000-\\u001f\\u007f\\p{Cs}]*$';

const require = createRequire(import.meta.url);

/**
 * Loads the compiler, which every thread has a copy of. A start calls it where the thread would wait anyway: later the
 * process may have no file descriptor for it.
 */
export function loadSchemaCompiler(): typeof AjvClass {
  return (require('ajv') as { readonly Ajv: typeof AjvClass }).Ajv;
}

/** Checks that compileCheck has promised and no caller has used yet. */
const uncompiled: (() => void)[] = [];

/**
 * Compiles the schema when it is needed first. With all of them compiled at once, an engine with 10,000 accounts is
 * ready after 475 ms instead of 379 (median of 7 restarts).
 * @param descriptions must name every path the schema can refuse; a missing one falls back to ajv's words.
 */
export function compileCheck(schema: object, descriptions: Descriptions): Check {
  let compiled: ValidateFunction | undefined;
  const compile = (): ValidateFunction => {
    if (compiled === undefined) {
      const Ajv = loadSchemaCompiler();
      compiled = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schema);
    }
    return compiled;
  };
  uncompiled.push(compile);
  return (value) => {
    const validate = compiled ?? compile();
    if (validate(value)) return null;
    const faults = new Map<string, FieldError>();
    for (const error of validate.errors!) {
      const fault = faultOf(error, descriptions);
      if (!faults.has(fault.field)) faults.set(fault.field, fault);
      if (faults.size > othersMax) break;
    }
    const [first, ...others] = faults.values();
    return others.length === 0 ? first! : { ...first!, others };
  };
}

function faultOf(error: ErrorObject, descriptions: Descriptions): FieldError {
  const parent = error.instancePath.slice(1).replaceAll('/', '.');
  if (error.keyword === 'required') {
    const name = String(error.params['missingProperty']);
    return missingField(parent === '' ? name : `${parent}.${name}`);
  }
  return fieldError(parent, descriptions, error.message ?? 'is not valid');
}

/** Compiles one of the checks that still wait for it, a few dozen milliseconds, so that the first message does not. */
export function compileNextCheck(): void {
  uncompiled.shift()?.();
}

export function missingField(field: string): FieldError {
  return { field, message: words.missing };
}

export function fieldError(field: string, descriptions: Descriptions, otherwise = 'is not valid'): FieldError {
  const description = descriptions[field];
  return { field, message: description === undefined ? otherwise : `must be ${description}` };
}
