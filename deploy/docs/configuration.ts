/**
 * Writes docs/configuration.md. Names, defaults and ranges come from the code that reads the variables; the rest from
 * variable-words.ts.
 */
import { readApiConfig } from '../../api/config.js';
import { readEngineConfig } from '../../engine/config.js';
import { type IntegerRule, type TextRule, Variables } from '../../platform/config/variables.js';
import { code, generatedNote, sentence, table, wrap } from './markdown.js';
import { completeSets, type VariableWords, variableGroups } from './variable-words.js';

/** What a reader does with a variable. */
export interface Rule {
  /** Undefined: none that the code has as a constant. */
  readonly fallback?: string | undefined;
  readonly isRequired: boolean;
  readonly range: string;
}

/** Notes the rule of each variable that it is asked for. */
class NotedVariables extends Variables {
  readonly rules = new Map<string, Rule>();

  #note(name: string, range: string, fallback?: string | number, isRequired = false): void {
    // The first note is the most exact one: the readers of lists and secrets go on to the reader of texts.
    if (this.rules.has(name)) return;
    this.rules.set(name, { fallback: fallback === undefined ? undefined : String(fallback), isRequired, range });
  }

  override text(name: string, rule: TextRule = {}): string {
    const range = rule.lengthMax === undefined ? 'a text' : `up to ${rule.lengthMax} characters`;
    this.#note(name, range, rule.fallback || undefined, rule.fallback === undefined);
    return super.text(name, rule);
  }

  override list(name: string, isRequired = false): readonly string[] {
    this.#note(name, 'a list', undefined, isRequired);
    return super.list(name, isRequired);
  }

  override secrets(name: string, lengthMax: number): readonly string[] {
    this.#note(name, `a list, each up to ${lengthMax} characters`, undefined, true);
    return super.secrets(name, lengthMax);
  }

  override integer<Fallback>(name: string, rule: IntegerRule<Fallback>): number | Fallback {
    this.#note(name, `${rule.min} to ${rule.max}`, rule.fallback as number | undefined);
    return super.integer(name, rule);
  }

  override positive(name: string, fallback: number, max?: number): number {
    this.#note(name, max === undefined ? 'above 0' : `above 0, up to ${max}`, fallback);
    return super.positive(name, fallback, max);
  }

  override share(name: string, fallback: number): number {
    this.#note(name, '0 to 1', fallback);
    return super.share(name, fallback);
  }

  override oneOf<const Choice extends string>(name: string, choices: readonly [Choice, ...Choice[]]): Choice {
    this.#note(name, choices.map(code).join(', '), choices[0]);
    return super.oneOf(name, choices);
  }
}

/** The variables of the engine. */
export function engineRules(): ReadonlyMap<string, Rule> {
  const given = {
    DATABASE_URL: 'postgres://127.0.0.1/books',
    PROCESSOR_USER: 'processor',
    PROCESSOR_PASSWORD: 'a-long-enough-password',
    ENGINE_TOKEN: 'a-long-enough-token',
  };
  const variables = new NotedVariables(given);
  readEngineConfig(given, 2, 2 ** 20, variables);
  // Follows from the limit of open files.
  variables.rules.set('OPS_CONNECTIONS_MAX', { ...variables.rules.get('OPS_CONNECTIONS_MAX')!, fallback: undefined });
  return variables.rules;
}

/** The variables of the account API. */
export function apiRules(): ReadonlyMap<string, Rule> {
  const given = {
    DATABASE_URL: 'postgres://127.0.0.1/books',
    JWT_SECRET: 'a-long-enough-secret-for-access-tokens',
    ENGINE_TOKEN: 'a-long-enough-token',
  };
  const variables = new NotedVariables(given);
  readApiConfig(given, 2 ** 20, variables);
  return variables.rules;
}

interface Variable {
  readonly name: string;
  readonly words: VariableWords;
  readonly engine: Rule | undefined;
  readonly api: Rule | undefined;
}

const processes = ({ engine, api, words: { tools } }: Variable) =>
  [engine && 'engine', api && 'API', tools].filter(Boolean).join(', ');

/** Of both processes, where they differ. */
function ofRules({ engine, api }: Variable, pick: (rule: Rule) => string): string {
  const [ofEngine, ofApi] = [engine && pick(engine), api && pick(api)];
  if (ofEngine === undefined || ofApi === undefined || ofEngine === ofApi) return ofApi ?? ofEngine ?? '';
  return ofApi === 'a list' ? ofEngine : `${ofEngine}; API: ${ofApi}`;
}

function defaultOf(variable: Variable): string {
  const { words, engine, api } = variable;
  if (engine?.isRequired || api?.isRequired) return '**required**';
  const constant = ofRules(variable, ({ fallback }) => (fallback === undefined ? '' : code(fallback)));
  // Words go first: a value that follows from another variable is no constant.
  return words.default || constant || 'none';
}

function entry(variable: Variable): string {
  const { name, words } = variable;
  const unit = words.unit === undefined ? '' : ` ${words.unit}`;
  const range = ofRules(variable, (rule) => rule.range);
  const facts = [
    `Default: ${defaultOf(variable)}${/\d`$/.test(defaultOf(variable)) ? unit : ''}`,
    ...(range === '' || range === 'a text' ? [] : [`${range}${/\d$/.test(range) ? unit : ''}`]),
    `read by ${processes(variable)}`,
    ...(words.kind === undefined ? [] : [`**${words.kind}**`]),
  ];
  const effects = [
    ...(words.low === undefined ? [] : [`Too low: ${words.low}`]),
    ...(words.high === undefined ? [] : [`Too high: ${words.high}`]),
    ...(words.seen === undefined
      ? []
      : [`Seen by: ${words.seen.map((metric) => `[${code(metric)}](metrics.md)`).join(', ')}.`]),
  ];
  return [`### ${code(name)}`, wrap(`${facts.join(' · ')}.`), wrap([sentence(words.does), ...effects].join(' '))].join(
    '\n\n',
  );
}

/** The whole document. */
export function configurationDocument(): string {
  const [engine, api] = [engineRules(), apiRules()];
  const groups = variableGroups.map(({ title, variables }) => ({
    title,
    variables: Object.entries(variables).map(
      ([name, words]): Variable => ({ name, words, engine: engine.get(name), api: api.get(name) }),
    ),
  }));
  const index = groups.flatMap(({ variables }) =>
    variables.map((variable) => [
      `[${code(variable.name)}](#${variable.name.toLowerCase()})`,
      defaultOf(variable),
      processes(variable),
      variable.words.kind ?? '',
    ]),
  );
  return `${[
    '# Configuration',
    generatedNote,
    wrap(
      'For operators: every variable of the environment, with its default, its range, and what happens when it is ' +
        'too low or too high. What to do when something is wrong is in the [runbook](runbook.md).',
    ),
    wrap(
      'A process reads its variables once, at its start: a change needs a restart. An empty variable counts as not ' +
        'set. A bad or missing value stops the start with one line that names the variable. **fixed**: for the life ' +
        'of the database. **same**: alike in all engines and APIs of a database. The others are free.',
    ),
    '## Index',
    table(['variable', 'default', 'read by', 'kind'], index),
    ...groups.flatMap(({ title, variables }) => [`## ${title}`, ...variables.map(entry)]),
    '## Complete sets',
    'Whole environments; `…` is a secret of your own. Engine and APIs share the values that are marked ' + '**same**.',
    ...completeSets.flatMap(({ title, lines }) => [`### ${title}`, `\`\`\`sh\n${lines.trim()}\n\`\`\``]),
  ].join('\n\n')}\n`;
}
