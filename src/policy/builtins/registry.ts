/** Registry: every builtin the host offers, by name. A name that is not here is refused when a bundle loads. */

import { aws } from './aws.ts'
import { bits } from './bits.ts'
import type { Builtin } from './builtin.ts'
import { collections } from './collections.ts'
import { encoding } from './encoding.ts'
import { graphql } from './graphql.ts'
import { hashes } from './hashes.ts'
import { jsonPatch } from './json-patch.ts'
import { jsonPaths } from './json-paths.ts'
import { jsonSchema } from './json-schema-builtins.ts'
import { jwt } from './jwt.ts'
import { net } from './net.ts'
import { numbers } from './numbers.ts'
import { regex } from './regex.ts'
import { strings } from './strings.ts'
import { template } from './template.ts'
import { time } from './time.ts'
import { x509 } from './x509.ts'
import { yaml } from './yaml.ts'

const FAMILIES = [
  aws,
  bits,
  collections,
  encoding,
  graphql,
  hashes,
  jsonPatch,
  jsonPaths,
  jsonSchema,
  jwt,
  net,
  numbers,
  regex,
  strings,
  template,
  time,
  x509,
  yaml,
]

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  FAMILIES.flatMap(family => Object.entries(family)),
)
