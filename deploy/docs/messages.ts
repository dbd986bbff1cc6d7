/** Writes the tables and samples of docs/messages.md, and the example of the README, into their marked places. */

import { checkOrder } from '../../engine/core/checks.js';
import { messageTypeNames } from '../../engine/core/codes.js';
import { Reason, type ReasonEntry, reasonTable } from '../../engine/core/reasons.js';
import { methods } from '../../engine/protocols/marqeta/methods.js';
import { declineReasons } from '../../engine/protocols/marqeta/reasons.js';
import { nativeDescriptions, nativeSchema } from '../../engine/protocols/native/fields.js';
import { purchase, type Sample, samples } from '../../engine/protocols/samples.js';
import { problemCodes } from '../../platform/problems/problem-codes.js';
import { code, sentence, table } from './markdown.js';
import { reasonWords } from './reason-words.js';

/** Of a block of JSON. */
const lineLengthMax = 105;

/** Replaces everything between `<!-- generated:name -->` and its end. */
export function replaceSection(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- generated:${name} -->`, `<!-- /generated:${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`no ${start} … ${end} in the text`);
  return `${text.slice(0, from + start.length)}\n${content}\n${text.slice(to)}`;
}

/** The document with its tables and samples as the code has them. */
export function messagesDocument(text: string): string {
  const sections = {
    fields: fields(),
    reasons: reasons(),
    problems: problems(),
    methods: marqetaMethods(),
    samples: shownSamples(),
  };
  return Object.entries(sections).reduce((whole, [name, content]) => replaceSection(whole, name, content), text);
}

/** The README with its example. */
export function readmeDocument(text: string): string {
  return replaceSection(text, 'example', example());
}

function fields(): string {
  const required = nativeSchema.required ?? [];
  const rows = Object.entries(nativeDescriptions)
    .filter(([path]) => path !== '')
    .map(([path, description]) => [code(path), required.includes(path) ? 'always' : '', sentence(description)]);
  return table(['field', 'required', 'must be'], rows);
}

/** In order of precedence, then those that no check gives. */
function reasons(): string {
  const checked = [...new Set(checkOrder)].map((number) => reasonTable[number]!);
  const others = reasonTable.filter((entry) => !checked.includes(entry));
  const row = ({ number, name, responseCode }: ReasonEntry) => {
    const { when, wayOut } = reasonWords[name]!;
    return [
      code(name),
      responseCode,
      number === Reason.approved ? '' : code(declineReasons[number]!),
      sentence(when),
      wayOut && sentence(wayOut),
    ];
  };
  return table(['reason', 'DE39', 'Marqeta `decline_reason`', 'when', 'way out'], [...checked, ...others].map(row));
}

function problems(): string {
  return table(
    ['title', 'meaning'],
    Object.entries(problemCodes).map(([title, meaning]) => [code(title), meaning]),
  );
}

function marqetaMethods(): string {
  const rows = methods.map(({ name, type, capture, atm }) => [
    code(name),
    messageTypeNames[type]!,
    [capture && 'posted at once', atm && 'channel `atm`'].filter(Boolean).join(', '),
  ]);
  return table(['method', 'decided as', ''], rows);
}

function shownSamples(): string {
  return samples
    .map(({ title, path, message, status, answer }) =>
      [`### ${title}`, code(`POST ${path}`), block(json(message)), `Answer: ${status}`, block(json(answer))].join(
        '\n\n',
      ),
    )
    .join('\n\n');
}

function example(): string {
  const { path, message, answer }: Sample = purchase;
  const command = [
    `curl -s -u 'processor:…' http://127.0.0.1:8080${path} -H 'content-type: application/json' \\`,
    `  -d '${json(message).replaceAll('\n', '\n      ')}'`,
  ].join('\n');
  return [block(command, 'sh'), block(json(answer), 'json')].join('\n\n');
}

const block = (text: string, language = 'json') => `\`\`\`${language}\n${text}\n\`\`\``;

/** Members side by side, as far as a line goes. */
function json(value: unknown, indent = ''): string {
  const line = spaced(value);
  if (indent.length + line.length <= lineLengthMax || typeof value !== 'object' || value === null) return line;
  const inner = `${indent}  `;
  const members = Array.isArray(value)
    ? value.map((member) => json(member, inner))
    : Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${json(member, inner)}`);
  const lines: string[] = [];
  for (const member of members) {
    const last = lines.length - 1;
    const isShort = last >= 0 && inner.length + lines[last]!.length + member.length < lineLengthMax;
    if (isShort && !`${lines[last]}${member}`.includes('\n')) lines[last] += `, ${member}`;
    else lines.push(member);
  }
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open} ${lines.join(`,\n${inner}`)} ${close}`;
}

function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${spaced(member)}`);
  return `{ ${members.join(', ')} }`;
}
