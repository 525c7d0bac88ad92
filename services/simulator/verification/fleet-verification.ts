import { setTimeout as delay } from 'node:timers/promises'
import { toSluiceError } from '../../../shared/errors.ts'
import { devicePath, type ApiClient } from '../../../shared/api-client.ts'
import type { Ledger } from './ledger.ts'
import type { FleetDevice } from '../fleet.ts'
import {
  addVerdict,
  emptyVerdict,
  isClean,
  verifyDevice,
  type ReadingsAnswer,
  type Verdict,
} from './device-verification.ts'
import type { Workload } from '../workload.ts'

export interface FleetVerification {
  readonly api: ApiClient
  readonly devices: readonly FleetDevice[]
  readonly workload: Workload
  readonly ledger: Ledger
  /** Gives up when nothing more was found for so long: an acknowledged reading is durable, and queryable a little later. */
  readonly patienceMs: number
  readonly onProgress?: (checked: number, found: number) => void
}

const READERS = 4
const PAUSE_MS = 250
/** Readings that nobody promised are waited for only so long without progress. */
const SETTLE_MS = 1_000
const PAGE_POINTS = 10_000

/**
 * Reads back everything the devices sent, from the API, until all of it is there or nothing more comes. What is found
 * too often or with another value is looked at again, too: only the last look counts.
 * Error: that of the API, when it fails for longer than the patience.
 */
export async function verifyFleet(options: FleetVerification): Promise<Verdict> {
  const { devices, patienceMs } = options
  const verdicts = new Map<number, Verdict>()
  let open = [...devices.keys()]
  let progressAt = performance.now()
  let found = -1
  for (;;) {
    const failure = await verifyOnce(open, verdicts, options)
    open = open.filter((device) => !isComplete(verdicts.get(device)))
    const isBad = open.some((device) => !isClean(verdicts.get(device) ?? UNSEEN))
    const limitMs = isBad ? patienceMs : SETTLE_MS
    const nowFound = [...verdicts.values()].reduce((sum, verdict) => sum + readingsIn(verdict), 0)
    if (nowFound > found) progressAt = performance.now()
    found = nowFound
    if (open.length === 0 || performance.now() - progressAt > limitMs) {
      if (failure !== undefined) throw failure
      break
    }
    await delay(PAUSE_MS)
  }
  const total = emptyVerdict()
  for (const verdict of verdicts.values()) addVerdict(total, verdict)
  return total
}

/** What has not been looked at yet. */
const UNSEEN: Verdict = { ...emptyVerdict(), lost: 1 }

/** Nothing more can come: all that was sent is there. */
function isComplete(verdict: Verdict = UNSEEN): boolean {
  return isClean(verdict) && verdict.unacknowledgedAbsent === 0
}

function readingsIn({ stored, duplicated, wrong, unacknowledgedStored }: Verdict): number {
  return stored + duplicated + wrong + unacknowledgedStored
}

/** Looks at each device once, several at a time; returns what kept it from looking at some. */
async function verifyOnce(
  open: readonly number[],
  verdicts: Map<number, Verdict>,
  { api, devices, workload, ledger, onProgress }: FleetVerification,
): Promise<Error | undefined> {
  let failure: Error | undefined
  const read = (device: number, cursor: string | undefined) => readPage(api, devices[device], cursor)
  const left = open.values()
  const verifyNext = async () => {
    for (const device of left) {
      try {
        verdicts.set(device, await verifyDevice(device, { workload, ledger, read }))
      } catch (error) {
        failure = toSluiceError(error)
        if (!toSluiceError(error).canRetry) throw error
      }
      onProgress?.(verdicts.size, devices.length)
    }
  }
  await Promise.all(Array.from({ length: READERS }, verifyNext))
  return failure
}

function readPage(
  api: ApiClient,
  device: FleetDevice | undefined,
  cursor: string | undefined,
): Promise<ReadingsAnswer> {
  if (device === undefined) throw new RangeError('no such device in the fleet')
  const path = devicePath(device.tenant, device.device, '/readings')
  return api.get<ReadingsAnswer>(path, { epoch: 'us', limit: PAGE_POINTS, cursor })
}
