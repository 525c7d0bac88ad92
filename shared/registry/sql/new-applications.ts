import type { Transaction } from 'kysely'
import { checkRules } from '../../acl.ts'
import { checkNewName } from '../../names.ts'
import type { NewCredentials } from '../names.ts'
import type { AclRule } from '../port.ts'
import { alreadyExists, notFound, type RegistryParts } from './new-devices.ts'
import { insertApplication } from './queries.ts'
import { makeCredential } from './queries-credentials.ts'
import type { RegistrySchema } from './schema.ts'

/** `createApplication` of the port. */
export async function createApplication(
  { database, changes, flavour, hashes }: RegistryParts,
  name: string,
  rules: readonly AclRule[],
  createsDevices: boolean,
): Promise<NewCredentials> {
  checkNewName('application', name)
  checkRules(rules)
  database.checkRoom()
  const made = makeCredential(hashes, name)
  const insert = (trx: Transaction<RegistrySchema>) => insertApplication(trx, name, rules, [made], createsDevices)
  await database.run(async (db) => {
    try {
      await changes.change(db, [name], insert)
    } catch (error) {
      throw flavour.isDuplicate(error) ? alreadyExists('application', name) : error
    }
  })
  changes.announce(name)
  return made.shown
}

/** `work` says whether there was anything to change. Error: `not_found`. */
export async function changeApplication(
  { changes }: RegistryParts,
  name: string,
  work: (trx: Transaction<RegistrySchema>) => Promise<boolean>,
  ended = false,
): Promise<void> {
  const checked = async (trx: Transaction<RegistrySchema>): Promise<void> => {
    if (!(await work(trx))) throw notFound('application', name)
  }
  await changes.apply([name], checked, ended)
}
