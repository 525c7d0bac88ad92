import { availableParallelism, loadavg } from 'node:os'

/** Runnable threads per processor beyond which a time says more about the machine than about us. */
const BUSY = 2

/** Of a load average: by default that of now. */
export function isBusy(load = loadavg()[0] ?? 0): boolean {
  return load > BUSY * availableParallelism()
}

/** How long a test waits for what must come. It is no measurement: a busy machine takes its time. */
export const PATIENCE = { timeout: isBusy() ? 120_000 : 20_000 }
