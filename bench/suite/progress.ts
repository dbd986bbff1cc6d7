/** How far a run is and how long it still takes, in front of every line that it prints. */

const barWidth = 16;

export class Progress {
  /** Seconds that each step takes, about; what is known better is put right as it goes. */
  readonly #estimates: readonly number[];
  readonly #write: (line: string) => void;
  /** Of the first step: what comes before it is not in the estimates. */
  #startedMs: number | null = null;
  #done = 0;
  #stepStartedMs = performance.now();
  #step = '';

  constructor(estimates: readonly number[], write: (line: string) => void) {
    this.#estimates = estimates;
    this.#write = write;
  }

  begin(step: string): void {
    this.#step = step;
    this.#stepStartedMs = performance.now();
    this.#startedMs ??= this.#stepStartedMs;
    this.log('started');
  }

  end(): void {
    this.#done++;
    this.#step = '';
  }

  log(line: string): void {
    const total = this.#estimates.reduce((sum, seconds) => sum + seconds, 0);
    const before = this.#estimates.slice(0, this.#done).reduce((sum, seconds) => sum + seconds, 0);
    const estimate = this.#estimates[this.#done] ?? 0;
    const inStep = this.#step === '' ? 0 : Math.min(estimate * 0.95, (performance.now() - this.#stepStartedMs) / 1000);
    const share = total === 0 ? 1 : (before + inStep) / total;
    // Steps that were slower or faster than thought tell how the rest will be.
    const elapsed = (performance.now() - (this.#startedMs ?? performance.now())) / 1000;
    const left = this.#done === 0 || share === 0 ? total - inStep : (elapsed * (1 - share)) / share;
    const filled = Math.round(share * barWidth);
    const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
    const step = this.#step === '' ? '' : `${this.#step}: `;
    this.#write(`${bar} ${String(Math.floor(share * 100)).padStart(3)} %, ${clock(left)} left  ${step}${line}`);
  }
}

function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
