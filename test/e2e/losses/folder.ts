import { cpSync, existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { vi } from 'vitest'
import { CertificateFolder } from '../../../shared/certificates/certificate-folder.ts'
import { openSqlitePoints } from '../../../shared/points/sqlite/open.ts'
import { createLogger } from '../../../shared/process/logger.ts'
import { createMetrics } from '../../../shared/process/metrics.ts'
import { PATIENCE } from '../../patience.ts'
import { Ledger, type Acknowledged } from './ledger.ts'
import { drive } from './load.ts'
import { startSmallServer } from './small-server.ts'

export interface FilledFolder {
  /** The folder of a process that was killed: with WALs, and with records that are acknowledged and not stored. */
  readonly folder: string
  readonly acknowledged: readonly Acknowledged[]
}

/** Half a megabyte of the log. */
const PAD_BYTES = 1_500
const ROUNDS = 60

/** Makes a data folder with some of every kind of file. */
export async function fillFolder(parent: string): Promise<FilledFolder> {
  const [live, folder] = [join(parent, 'live'), join(parent, 'filled')]
  const ledger = new Ledger()
  await new CertificateFolder(join(live, 'tls')).init(['localhost'], 30)
  await loadOnce(live, ledger, { rounds: ROUNDS, before: 0, padBytes: PAD_BYTES })
  await seal(join(live, 'points'))
  await loadOnce(live, ledger, { rounds: 5, before: ROUNDS })
  const copy = () => cpSync(live, folder, { recursive: true })
  await loadOnce(live, ledger, { rounds: 5, before: ROUNDS + 5, isStuck: true, atEnd: copy })
  return { folder, acknowledged: ledger.until() }
}

interface Once {
  readonly rounds: number
  readonly before: number
  readonly padBytes?: number
  readonly isStuck?: boolean
  readonly atEnd?: () => void
}

async function loadOnce(folder: string, ledger: Ledger, { isStuck = false, atEnd, ...plan }: Once): Promise<void> {
  const server = await startSmallServer(folder, { isStuck })
  const hasSessions = existsSync(join(folder, 'sessions.db'))
  await drive(server, ledger, { ...plan, hasSessions })
  if (!isStuck) await server.settled()
  atEnd?.()
  await server.close()
}

/** Turns what is there into chunks. */
async function seal(folder: string): Promise<void> {
  const metrics = createMetrics({ defaults: false })
  const store = await openSqlitePoints({ folder, logger: createLogger('silent'), metrics, sealAfterPoints: 1 })
  const left = async () => (await metrics.getSingleMetric('sluice_points_raw_points')?.get())?.values[0]?.value
  await vi.waitUntil(async () => (await left()) === 0, PATIENCE)
  await store.close()
}

/** Paths of all files that hold something, from the folder on. */
export function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile() && statSync(join(folder, path)).size > 0)
    .toSorted()
}
