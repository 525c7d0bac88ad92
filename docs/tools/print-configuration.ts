import { writeFileSync } from 'node:fs'
import { configurationFile, configurationPage } from './configuration-page.ts'

/** Writes docs/configuration.md from the tables of settings: `npm run docs:configuration`. */
writeFileSync(configurationFile, await configurationPage())
