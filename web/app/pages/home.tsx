/** How much can I spend? */
import { t } from '../../kit/messages.js';

export default function Home() {
  return <h1>{t('home.title')}</h1>;
}
