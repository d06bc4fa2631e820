import { createMemoryStores } from "@hubwire/hub";
import { describeStoreContract } from "@hubwire/testkit/store-contract";
import { systemClock } from "@hubwire/transport";

const clock = systemClock();

describeStoreContract("memory", async () => {
  let broken = false;
  const options = { clock, fault: () => (broken ? ("reject" as const) : undefined) };
  const stores = createMemoryStores(options);
  return {
    stores,
    reopen: async () => createMemoryStores({ ...options, image: stores.image }),
    breakWrites: () => {
      broken = true;
      return () => (broken = false);
    },
  };
});
