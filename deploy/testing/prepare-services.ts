/** Makes what the tests' services need once, and says what takes long: before the tests, whose time is bounded. */
import { findMongoProgram } from './mongo-program.js';

const { MONGODB_URI } = process.env;
if (MONGODB_URI === undefined || MONGODB_URI === '') await findMongoProgram(console.log);
