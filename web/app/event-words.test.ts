import t from 'tap';
import de from '../messages/de.js';
import en from '../messages/en.js';
import { shownEventType } from './event-words.js';

t.test(
  'a payment that the network approved by itself is called a payment, and a later advice a correction',
  async (t) => {
    const called = (index: number) => {
      const key = `event.${shownEventType('advice', index)}` as keyof typeof en;
      return [en[key], de[key]];
    };
    t.same(called(0), ['Payment', 'Zahlung']);
    t.same(called(1), ['Corrected', 'Berichtigt']);
    t.equal(shownEventType('clearing', 0), 'clearing', 'a force post is what it says');
  },
);
