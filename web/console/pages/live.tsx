/** Are we approving, fast, and consistent? The state of the program, as it changes. */
import { t } from '../../kit/messages.js';
import { Empty } from '../../kit/states.js';

export default function Live() {
  return (
    <>
      <h1>{t('live.title')}</h1>
      <Empty>{t('live.empty')}</Empty>
    </>
  );
}
