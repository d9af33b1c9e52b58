/** Prints what a rule or a stream gives it. */
export async function handler(event) {
  console.log(JSON.stringify(event))
}
