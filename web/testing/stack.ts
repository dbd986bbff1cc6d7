/** What the pages of a journey stand on: engine, API and demo data, as `make run` has them. */
import type { Test } from 'tap';
import { startTestApi, type TestApi, type TestApiOptions } from '../../api/testing/api-inside.js';
import { demoEmail, demoOperatorEmail, demoPassword, seedDemo } from '../../deploy/demo.js';
import type { Page } from './browser.js';

export async function startStack(t: Test, options: TestApiOptions = {}): Promise<TestApi> {
  const api = await startTestApi(t, { engine: true, ...options });
  await seedDemo(api.sql);
  return api;
}

export const signInToConsole = (page: Page) => signIn(page, demoOperatorEmail);
export const signInToApp = (page: Page) => signIn(page, demoEmail);

async function signIn(page: Page, email: string): Promise<void> {
  await page.locator('[name=email]').fill(email);
  await page.locator('[name=password]').fill(demoPassword);
  await page.locator('form button[type=submit]').click();
  await page.locator('#content').waitFor();
}
