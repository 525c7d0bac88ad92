import { join } from 'node:path'
import { openSqliteLog } from '../../shared/log/sqlite/open.ts'
import { createLogger } from '../../shared/process/logger.ts'
import { createMetrics } from '../../shared/process/metrics.ts'
import { tempFolder } from '../helpers.ts'
import { describeTelemetryLog } from './log-contract.ts'
import { type LogHarness, PARTITIONS } from './log-harness.ts'

async function make(): Promise<LogHarness> {
  const folder = join(tempFolder(), 'log')
  return {
    open: () =>
      openSqliteLog({
        folder,
        partitions: PARTITIONS,
        retention: {},
        logger: createLogger('silent'),
        metrics: createMetrics({ defaults: false }),
      }),
  }
}

describeTelemetryLog('embedded log', make)
