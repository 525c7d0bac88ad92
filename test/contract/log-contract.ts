import { describeAppendAndRead } from './log-append-contract.ts'
import { describeConsume } from './log-consume-contract.ts'
import type { MakeLogHarness } from './log-harness.ts'
import { describeModel } from './log-model-contract.ts'

/** Every promise of the port, for any adapter: each test gets a harness of its own from `make`. */
export function describeTelemetryLog(name: string, make: MakeLogHarness): void {
  describeAppendAndRead(name, make)
  describeConsume(name, make)
  describeModel(name, make)
}
