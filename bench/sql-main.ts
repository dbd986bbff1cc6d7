/** `make bench-sql`. */
import { benchSql } from './sql.js';

process.exitCode = (await benchSql(process.argv[2] === 'smoke', console.log)) ? 0 : 1;
