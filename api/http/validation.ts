/**
 * Strict validation of inputs by their schemas. Bodies are read as they are: a number in quotes is not a number. Query
 * strings and paths are text and may be read as numbers. An unknown field is refused and named, and nothing is silently
 * removed.
 */
import { Ajv, type ValidateFunction } from 'ajv';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { faultsOf } from '../../platform/problems/fault-words.js';
import { isDay, isInstant } from './instants.js';
import { invalidFields, Problem } from './problem.js';

/** One @, no spaces, a dot in the domain: what is beyond this only a delivered message proves. Linear. */
const email = /^[^\s@\p{Cc}\p{Cs}]{1,64}@[^\s@.\p{Cc}\p{Cs}]+(\.[^\s@.\p{Cc}\p{Cs}]+)+$/u;

const formats = {
  'date-time': isInstant,
  'date-or-date-time': (text: string) => isInstant(text) || isDay(text),
  email: (text: string) => email.test(text),
};

function ajv(coerceTypes: boolean): Ajv {
  return new Ajv({
    coerceTypes,
    formats,
    useDefaults: true,
    removeAdditional: false,
    allErrors: true,
    verbose: true,
    strict: true,
  });
}

const exact = ajv(false);
const coercing = ajv(true);
/** By kind and text: many parts of routes have equal schemas. As many as the routes have. */
const validators = new Map<string, ValidateFunction>();

function validatorOf(schema: object, coerces: boolean): ValidateFunction {
  const key = `${coerces} ${JSON.stringify(schema)}`;
  let validate = validators.get(key);
  if (validate === undefined) {
    validate = (coerces ? coercing : exact).compile(schema);
    validators.set(key, validate);
  }
  return validate;
}

/** Installs both validators, and the schema's own words for what is wrong. */
export function registerValidation(app: FastifyInstance): void {
  // Beside uploads JSON is the only body we take: another type is refused as such, not as a text of the wrong shape.
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
    if (request.routeOptions.config.route?.upload !== undefined) return body;
    throw new Problem(415, 'unsupported_media_type', 'send the body as application/json');
  });
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const validate = validatorOf(schema as object, httpPart !== 'body');
    return (input: unknown) => {
      if (validate(input)) return { value: input };
      return { error: invalidFields(faultsOf(validate.errors!)) };
    };
  });
}
