/**
 * `npm run operator -- EMAIL ROLE NAME`: adds an operator to the database of DATABASE_URL. It prints, this once, a
 * password and the URI with the secret for an authenticator.
 */
import { randomBytes } from 'node:crypto';
import { connectPostgres } from '../platform/postgres/connect.js';
import { newTotp } from './auth/operator-sign-in.js';
import { Passwords } from './auth/passwords.js';
import { type OperatorRole, operatorRoles } from './auth/principal.js';
import { addOperator } from './stores/operators.js';

const passwordBytes = 18;
const usage = `usage: npm run operator -- EMAIL ${operatorRoles.join('|')} NAME`;

const [email = '', role = '', ...names] = process.argv.slice(2);
const { DATABASE_URL: databaseUrl = '' } = process.env;
const problem = problemOf();
if (problem === null) await add();
else {
  console.error(problem);
  process.exitCode = 1;
}

function problemOf(): string | null {
  if (databaseUrl === '') return 'DATABASE_URL is not set: name the database of the API';
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) return `${usage}\nEMAIL must be an e-mail address`;
  if (!operatorRoles.includes(role as OperatorRole)) return `${usage}\nROLE must be one of ${operatorRoles.join(', ')}`;
  return names.length === 0 ? `${usage}\nNAME is missing` : null;
}

async function add(): Promise<void> {
  const password = randomBytes(passwordBytes).toString('base64url');
  const { secret, uri } = newTotp(email);
  const sql = connectPostgres(databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    const passwordHash = await new Passwords().hash(password);
    const operator = { email, name: names.join(' '), role: role as OperatorRole, passwordHash, totpSecret: secret };
    if (await addOperator(sql, operator)) {
      console.log(`operator ${email} (${role})\n  password       ${password}\n  authenticator  ${uri}`);
    } else {
      console.error(`${email} is an operator already: choose another address`);
      process.exitCode = 1;
    }
  } finally {
    await sql.end({ timeout: 5 });
  }
}
