import { describePointDevices } from './points-devices-contract.ts'
import type { MakePointsHarness } from './points-harness.ts'
import { describePointDeletes } from './points-delete-contract.ts'
import { describeJoined } from './points-joined-contract.ts'
import { describeFieldNames } from './points-fields-contract.ts'
import { describePointKinds } from './points-kinds-contract.ts'
import { describePointModel } from './points-model-contract.ts'
import { describePointAggregates } from './points-aggregate-contract.ts'
import { describePointQueries } from './points-query-contract.ts'
import { describePointScans } from './points-scan-contract.ts'
import { describeRandomScans } from './points-scan-random-contract.ts'
import { describePointWrites } from './points-write-contract.ts'

/** Every promise of the port, for any adapter: each test gets a harness of its own from `make`. */
export function describePointStore(name: string, make: MakePointsHarness): void {
  describePointWrites(name, make)
  describePointQueries(name, make)
  describePointKinds(name, make)
  describeJoined(name, make)
  describeFieldNames(name, make)
  describePointScans(name, make)
  describeRandomScans(name, make)
  describePointAggregates(name, make)
  describePointDeletes(name, make)
  describePointDevices(name, make)
  describePointModel(name, make)
}
